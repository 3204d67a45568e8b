//! The command line: what there is to call, and what its exit codes mean.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fedsx_runtime::code::Refusal;

use crate::{
    bench, commands,
    demo::{self, Demo},
    domain::{self, Flags},
};

/// A federated activity platform: domains publish signed activities to an append-only log and deliver them to each
/// other.
#[derive(Debug, Parser)]
#[command(name = "fedsx", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the domain, 4 no domain answers there.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Two domains on loopback, and the story of how they federate
    Demo(Demo),
    /// Run a whole domain in this process, on the embedded store and queue
    All(Flags),
    /// Measure: append, inbox, fan-out
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Create and look at a running domain's actors
    #[command(subcommand)]
    Actor(commands::actor::Actor),
    /// Publish an activity
    Publish(commands::publish::Publish),
    /// Follow a remote actor
    Follow(commands::follow::Follow),
    /// Undo a follow
    Unfollow(commands::follow::Unfollow),
    /// Who follows, and who waits for an answer
    #[command(subcommand)]
    Followers(commands::followers::Followers),
    /// Read the log
    Log(commands::log::Log),
    /// What was sent to whom, and how it went
    Deliveries(commands::deliveries::Deliveries),
    /// The domains that this one sends to, and blocks
    Peers(commands::peers::Peers),
}

/// Runs the command line.
pub(crate) async fn run() -> ExitCode {
    match execute(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fedsx: {error:#}");
            exit_code(&error)
        }
    }
}

async fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(demo) => demo::run(demo).await,
        Command::All(flags) => domain::run(&flags).await,
        Command::Bench(bench) => bench::run(bench).await,
        Command::Actor(actor) => commands::actor::run(actor).await,
        Command::Publish(publish) => commands::publish::run(publish).await,
        Command::Follow(follow) => commands::follow::follow(follow).await,
        Command::Unfollow(unfollow) => commands::follow::unfollow(unfollow).await,
        Command::Followers(followers) => commands::followers::run(followers).await,
        Command::Log(log) => commands::log::run(log).await,
        Command::Deliveries(deliveries) => commands::deliveries::run(deliveries).await,
        Command::Peers(peers) => commands::peers::run(peers).await,
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    use fedsx_runtime::code::Code;
    if error.downcast_ref::<commands::connect::NoDomain>().is_some() {
        return ExitCode::from(4);
    }
    match error.downcast_ref::<Refusal>().map(|refusal| refusal.code) {
        Some(Code::Unavailable) => ExitCode::from(4),
        Some(_) => ExitCode::from(3),
        None => ExitCode::FAILURE,
    }
}
