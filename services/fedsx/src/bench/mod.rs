//! `fedsx bench`: the figures by which changes are judged. Each benchmark runs a domain in this process, on a fresh
//! folder or database, through the same clients, servers and HTTP that production uses; its load runs here too.

mod append;
mod backend;
mod fan_out;
mod flows;
mod followers;
mod inbox;
mod lane;
mod publish;
mod rebuild;
mod report;
mod rig;
mod slow_peers;

use backend::Backend;
use clap::{Args, Subcommand};
use report::Form;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    backend: Backend,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Appends to the log: drafts that it seals, or activities that are sealed already
    Append(append::Append),
    /// Signed POSTs to an inbox, made before the clock starts
    Inbox(inbox::Inbox),
    /// One activity to many followers, on several origins
    FanOut(fan_out::FanOut),
    /// Flows that run at once, and flows that wait
    Flows(flows::Flows),
    /// Many activities to one inbox, in their order
    Lane(lane::Lane),
    /// How long a publish takes with few and with many followers
    Publish(publish::Publish),
    /// A view that is defined, or changed, while the log is full: until it answers for all of it
    Rebuild(rebuild::Rebuild),
    /// What peers that never answer cost the others
    SlowPeers(slow_peers::SlowPeers),
}

/// How much is done: at least once, or there is nothing to measure.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("nothing would be measured".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("is no count: {error}")),
    }
}

pub(crate) async fn run(bench: Bench) -> anyhow::Result<()> {
    let (backend, form) = (&bench.backend, Form { json: bench.json });
    eprintln!(
        "{}, {} cores",
        backend.name(),
        std::thread::available_parallelism()?
    );
    match &bench.what {
        What::Append(append) => append::run(append, backend, form).await,
        What::Inbox(inbox) => inbox::run(inbox, backend, form).await,
        What::FanOut(fan_out) => fan_out::run(fan_out, backend, form).await,
        What::Flows(flows) => flows::run(flows, backend, form).await,
        What::Lane(lane) => lane::run(lane, backend, form).await,
        What::Publish(publish) => publish::run(publish, backend, form).await,
        What::Rebuild(rebuild) => rebuild::run(rebuild, backend, form).await,
        What::SlowPeers(slow) => slow_peers::run(slow, backend, form).await,
    }
}
