//! `fedsx toolbox`: a process that does nothing, in a pod where client commands are run.

use std::fmt::Write as _;

use anyhow::Context as _;
use clap::{Args, Command};
use fedsx_runtime::shutdown;

use super::output::print;

/// Waits until it is told to end, for client commands to be run beside it: `kubectl exec deploy/blog-toolbox -- fedsx peers`. The
/// image has no shell that could wait instead
#[derive(Debug, Args)]
pub(crate) struct Toolbox {}

/// `program`: the command line, which says what there is to run.
pub(crate) async fn run(program: &Command) -> anyhow::Result<()> {
    let signal = shutdown::signal();
    tokio::pin!(signal);
    // Signals are heard before anything is said: whoever has read it may end it.
    let welcome = async { print(&welcome(program)?) };
    tokio::select! {
        biased;
        signalled = &mut signal => return signalled.map(drop).context("signals"),
        said = welcome => said?,
    }
    signal.await.map(drop).context("signals")
}

fn welcome(program: &Command) -> anyhow::Result<String> {
    let mut text = "Waiting; what there is to run:\n".to_owned();
    for command in program.get_subcommands().filter(|command| is_client(command)) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        write!(text, "\n  fedsx {:<14} {about}", command.get_name())?;
    }
    text.push_str("\n\nEach takes --help. SIGTERM ends this.");
    Ok(text)
}

/// Client commands have a way to name the domain that they are for.
fn is_client(command: &Command) -> bool {
    let named = |command: &Command| {
        let mut arguments = command.get_arguments();
        arguments.any(|argument| argument.get_id() == "connect")
    };
    named(command) || command.get_subcommands().any(named)
}
