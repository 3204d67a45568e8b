//! `fedsx bench`: the figures by which changes are judged. Each benchmark runs a domain in this process, on a fresh
//! folder, through the same clients, servers and HTTP that production uses.

mod append;
mod fan_out;
mod inbox;
mod report;
mod rig;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Appends to the log: drafts that it seals, or activities that are sealed already
    Append(append::Append),
    /// Signed POSTs to an inbox, made before the clock starts
    Inbox(inbox::Inbox),
    /// One activity to many followers, on several origins
    FanOut(fan_out::FanOut),
}

pub(crate) async fn run(bench: Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Append(append) => append::run(append).await,
        Bench::Inbox(inbox) => inbox::run(inbox).await,
        Bench::FanOut(fan_out) => fan_out::run(fan_out).await,
    }
}
