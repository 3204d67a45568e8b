//! `fedsx bench publish`.

use std::time::{Duration, Instant};

use clap::Args;

use super::{
    backend::Backend,
    followers::{author, gather, publish},
    report::{Form, Report},
    rig::{Rig, sinks},
};

/// For each follower: what their Follows and Accepts have left to be written goes to the disk meanwhile.
const REST: Duration = Duration::from_micros(500);
/// Between two publishes.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Followers; several numbers are measured one after another
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100_000])]
    followers: Vec<usize>,
    /// Activities, one after another
    #[arg(long, value_parser = super::count, default_value_t = 100)]
    activities: usize,
}

pub(super) async fn run(bench: &Publish, backend: &Backend, form: Form) -> anyhow::Result<()> {
    for followers in &bench.followers {
        measure(bench, *followers, backend, form).await?;
    }
    Ok(())
}

/// Fan-out and the workers are stopped: what they do would compete with what is measured for the same cores and the same disk.
async fn measure(bench: &Publish, followers: usize, backend: &Backend, form: Form) -> anyhow::Result<()> {
    let rig = Rig::start_with(backend, |settings| settings.workers = false).await?;
    gather(&rig, &sinks(20).await?, followers).await?;
    let (mut clients, author) = (rig.domain.clients.clone(), author(&rig));
    tokio::time::sleep(REST * u32::try_from(followers)?).await;
    let mut latencies = Vec::new();
    for number in 0..bench.activities {
        tokio::time::sleep(PAUSE).await;
        let begin = Instant::now();
        publish(&mut clients, &author, number).await?;
        latencies.push(begin.elapsed());
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
