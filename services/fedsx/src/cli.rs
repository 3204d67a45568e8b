//! The command line: what there is to call, and what its exit codes mean.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use fedsx_runtime::{code::Refusal, token::Role};

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
    /// Run a domain's log: the only writer, on PostgreSQL
    Log(Flags),
    /// Run a domain's gateway: inboxes, actors, discovery
    Gateway(Flags),
    /// Run a domain's projection: views, and answers to follows
    Projection(Flags),
    /// Run a domain's delivery: fan-out and workers, on PostgreSQL and RabbitMQ
    Delivery(Flags),
    /// Measure: append, inbox, fan-out, …
    Bench(bench::Bench),
    /// Create and look at a running domain's actors
    #[command(subcommand)]
    Actor(commands::actor::Actor),
    /// Put and get the files that objects name
    #[command(subcommand)]
    Blobs(commands::blobs::Blobs),
    /// Publish an activity
    Publish(commands::publish::Publish),
    /// Offer an article to a calendar elsewhere
    Allocate(commands::allocate::Allocate),
    /// Follow a remote actor
    Follow(commands::follow::Follow),
    /// Undo a follow
    Unfollow(commands::follow::Unfollow),
    /// Who follows, and who waits for an answer
    #[command(subcommand)]
    Followers(commands::followers::Followers),
    /// Read the log
    Entries(commands::entries::Entries),
    /// Where an activity's trace is looked at, and the tree of its spans
    Trace(commands::trace::Trace),
    /// What was sent to whom, and how it went
    Deliveries(commands::deliveries::Deliveries),
    /// What peers refused and what was given up: look at it, send it again, drop it
    #[command(subcommand)]
    DeadLetters(commands::dead_letters::DeadLetters),
    /// The domains that this one sends to, and blocks
    Peers(commands::peers::Peers),
    /// How far the views are, and what holds them up
    Views(commands::views::Views),
    /// How what the domain does on activities goes: start, resume, retry, cancel
    #[command(subcommand)]
    Flows(commands::flows::Flows),
    /// How objects are related: by a tag, a type, a reply, and by what follows from these
    Relations(commands::relations::Relations),
    /// When an event takes place, by its rule and in its time zone
    Occurrences(commands::occurrences::Occurrences),
    /// Snapshots of the views: what a view begins with whose database was lost
    #[command(subcommand)]
    Snapshots(commands::snapshots::Snapshots),
    /// Whether the views are what the log folds to
    Verify(commands::verify::Verify),
    /// Whether the domain works, shown by what it does
    SelfTest(commands::self_test::SelfTest),
    /// Wait, so that client commands can be run in the same pod
    Toolbox(commands::toolbox::Toolbox),
    /// What a domain means, as data: check bundles, lock them, compare and publish them
    #[command(subcommand)]
    Genesis(commands::genesis::Genesis),
    /// The types that objects are checked by: defined here, and peers'
    #[command(subcommand)]
    Types(commands::types::Types),
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
        Command::Log(flags) => domain::role::run(Role::Log, &flags).await,
        Command::Gateway(flags) => domain::role::run(Role::Gateway, &flags).await,
        Command::Projection(flags) => domain::role::run(Role::Projection, &flags).await,
        Command::Delivery(flags) => domain::role::run(Role::Delivery, &flags).await,
        Command::Bench(bench) => bench::run(bench).await,
        Command::Actor(actor) => commands::actor::run(actor).await,
        Command::Blobs(blobs) => commands::blobs::run(blobs).await,
        Command::Publish(publish) => commands::publish::run(publish).await,
        Command::Allocate(allocate) => commands::allocate::run(allocate).await,
        Command::Follow(follow) => commands::follow::follow(follow).await,
        Command::Unfollow(unfollow) => commands::follow::unfollow(unfollow).await,
        Command::Followers(followers) => commands::followers::run(followers).await,
        Command::Entries(entries) => commands::entries::run(entries).await,
        Command::Trace(trace) => commands::trace::run(trace).await,
        Command::Deliveries(deliveries) => commands::deliveries::run(deliveries).await,
        Command::DeadLetters(letters) => commands::dead_letters::run(letters).await,
        Command::Peers(peers) => commands::peers::run(peers).await,
        Command::Views(views) => commands::views::run(views).await,
        Command::Flows(flows) => commands::flows::run(flows).await,
        Command::Relations(relations) => commands::relations::run(relations).await,
        Command::Occurrences(occurrences) => commands::occurrences::run(occurrences).await,
        Command::Snapshots(snapshots) => commands::snapshots::run(snapshots).await,
        Command::Verify(verify) => commands::verify::run(verify).await,
        Command::SelfTest(test) => commands::self_test::run(test).await,
        Command::Toolbox(_) => commands::toolbox::run(&Cli::command()).await,
        Command::Genesis(genesis) => commands::genesis::run(genesis).await,
        Command::Types(types) => commands::types::run(types).await,
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
