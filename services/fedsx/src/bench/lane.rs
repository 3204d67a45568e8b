//! `fedsx bench lane`.

use std::time::Instant;

use clap::Args;

use super::{
    backend::Backend,
    followers::{author, drained, gather, head, publish},
    report::{Form, Report},
    rig::{Rig, sinks, timed},
};

#[derive(Debug, Args)]
pub(crate) struct Lane {
    /// Activities
    #[arg(long, value_parser = super::count, default_value_t = 100)]
    activities: usize,
    /// Times that they are measured
    #[arg(long, value_parser = super::count, default_value_t = 5)]
    rounds: usize,
}

pub(super) async fn run(bench: &Lane, backend: &Backend, form: Form) -> anyhow::Result<()> {
    let rig = Rig::start(backend).await?;
    gather(&rig, &sinks(1).await?, 1).await?;
    let (mut clients, author) = (rig.domain.clients.clone(), author(&rig));
    let accepted = head(&mut clients).await?;
    drained(&mut clients, accepted).await?;
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds {
        let begin = Instant::now();
        let (publisher, author) = (clients.clone(), author.clone());
        timed(16, bench.activities, move |number| {
            let (mut clients, author) = (publisher.clone(), author.clone());
            async move { publish(&mut clients, &author, number).await.map(drop) }
        })
        .await?;
        let last = head(&mut clients).await?;
        drained(&mut clients, last).await?;
        rounds.push(begin.elapsed());
    }
    Report {
        what: format!(
            "{} activities to one inbox, in order (latency: all of them, published and delivered)",
            bench.activities
        ),
        count: bench.activities * bench.rounds,
        elapsed: rounds.iter().sum(),
        latencies: rounds,
    }
    .print(form);
    rig.stop().await
}
