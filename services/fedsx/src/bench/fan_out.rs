//! `fedsx bench fan-out`.

use std::time::Instant;

use clap::Args;

use super::{
    backend::Backend,
    followers::{author, drained, gather, head, publish},
    report::{Form, Report},
    rig::{Rig, sinks},
};

#[derive(Debug, Args)]
pub(crate) struct FanOut {
    /// Followers, each with an inbox of its own; several numbers are measured one after another
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000])]
    followers: Vec<usize>,
    /// Origins that they are spread over
    #[arg(long, value_parser = super::count, default_value_t = 20)]
    origins: usize,
    /// Activities, one after another
    #[arg(long, value_parser = super::count, default_value_t = 3)]
    activities: usize,
}

pub(super) async fn run(bench: &FanOut, backend: &Backend, form: Form) -> anyhow::Result<()> {
    for followers in &bench.followers {
        measure(bench, *followers, backend, form).await?;
    }
    Ok(())
}

async fn measure(bench: &FanOut, followers: usize, backend: &Backend, form: Form) -> anyhow::Result<()> {
    let rig = Rig::start(backend).await?;
    let origins = sinks(bench.origins).await?;
    gather(&rig, &origins, followers).await?;
    let (mut clients, author) = (rig.domain.clients.clone(), author(&rig));
    let accepted = head(&mut clients).await?;
    drained(&mut clients, accepted).await?;

    let (mut publishes, mut drains) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for number in 0..bench.activities {
        let begin = Instant::now();
        let position = publish(&mut clients, &author, number).await?;
        publishes.push(begin.elapsed());
        drained(&mut clients, position).await?;
        drains.push(begin.elapsed());
    }
    let elapsed = start.elapsed();
    Report {
        what: format!("publish with {followers} followers"),
        count: publishes.len(),
        elapsed: publishes.iter().sum(),
        latencies: publishes,
    }
    .print(form);
    Report {
        what: format!(
            "drain of one activity to {followers} inboxes on {} origins (latency: the whole drain)",
            origins.len()
        ),
        count: followers * bench.activities,
        elapsed,
        latencies: drains,
    }
    .print(form);
    rig.stop().await
}
