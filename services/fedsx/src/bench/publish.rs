//! `fedsx bench publish`.

use std::time::Instant;

use clap::Args;

use super::{
    backend::Backend,
    followers::{author, fanned_out, gather, head, publish},
    report::{Form, Report},
    rig::{Rig, sinks},
};

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Followers; several numbers are measured one after another
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100_000])]
    followers: Vec<usize>,
    /// Activities, each when the one before is fanned out
    #[arg(long, default_value_t = 20)]
    activities: usize,
}

pub(super) async fn run(bench: &Publish, backend: &Backend, form: Form) -> anyhow::Result<()> {
    for followers in &bench.followers {
        measure(bench, *followers, backend, form).await?;
    }
    Ok(())
}

/// The workers are stopped: sending would compete with what is measured for the same cores.
async fn measure(bench: &Publish, followers: usize, backend: &Backend, form: Form) -> anyhow::Result<()> {
    let rig = Rig::start_with(backend, |settings| settings.workers = false).await?;
    gather(&rig, &sinks(20).await?, followers).await?;
    let (mut clients, author) = (rig.domain.clients.clone(), author(&rig));
    let accepted = head(&mut clients).await?;
    fanned_out(&mut clients, accepted).await?;
    let mut latencies = Vec::new();
    for number in 0..bench.activities {
        let begin = Instant::now();
        let position = publish(&mut clients, &author, number).await?;
        latencies.push(begin.elapsed());
        fanned_out(&mut clients, position).await?;
    }
    Report {
        what: format!("publish with {followers} followers, workers stopped"),
        count: latencies.len(),
        elapsed: latencies.iter().sum(),
        latencies,
    }
    .print(form);
    rig.stop().await
}
