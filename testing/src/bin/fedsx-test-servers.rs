//! `fedsx-test-servers [--] <command> …`: runs a command with a private PostgreSQL and a private RabbitMQ.
//!
//! The command finds them by `FEDSX_TEST_POSTGRES`, `FEDSX_TEST_RABBITMQ` and `FEDSX_TEST_RABBITMQ_API`. SIGINT and SIGTERM
//! are passed on to it and all that it started. Whatever ends it, the servers end with it, and its exit code is ours.

use std::{
    error::Error,
    os::unix::process::ExitStatusExt as _,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use fedsx_testing::{POSTGRES, RABBITMQ, RABBITMQ_API, postgres, rabbitmq};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// A command that was told to end gets this long; then it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("fedsx-test-servers: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    arguments.next_if(|argument| argument == "--");
    let Some(program) = arguments.next() else {
        eprintln!("usage: fedsx-test-servers [--] <command> [<argument> …]");
        return Ok(ExitCode::from(2));
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut told = async || {
        tokio::select! {
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
        }
    };
    let servers = async { tokio::join!(postgres::Server::start(), rabbitmq::Server::start()) };
    let (postgres, rabbitmq) = tokio::select! {
        started = servers => started,
        by = told() => return Ok(killed(by.as_raw_value())),
    };
    let mut command = Command::new(&program)
        .args(arguments)
        .env(POSTGRES, postgres.url())
        .env(RABBITMQ, rabbitmq.url())
        .env(RABBITMQ_API, rabbitmq.api())
        // A group of its own, so that what the command started can be told to end too.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let ended = tokio::select! {
        ended = command.wait() => ended?,
        by = told() => end(&mut command, by).await?,
    };
    Ok(code(ended))
}

/// Passes a signal on to the command's group, and kills the group where it does not end.
async fn end(command: &mut Child, by: SignalKind) -> Result<ExitStatus, Box<dyn Error>> {
    let group = command.id().ok_or("the command has no process id")?;
    let send = async |signal: &str| {
        Command::new("sh")
            .args(["-c", r#"kill -s "$0" -- "-$1""#, signal, &group.to_string()])
            .status()
            .await
    };
    send(if by == SignalKind::interrupt() {
        "INT"
    } else {
        "TERM"
    })
    .await?;
    if let Ok(ended) = timeout(PATIENCE, command.wait()).await {
        return Ok(ended?);
    }
    send("KILL").await?;
    Ok(command.wait().await?)
}

/// As a shell tells how a command ended.
fn code(ended: ExitStatus) -> ExitCode {
    match (ended.code(), ended.signal()) {
        (Some(code), _) => u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from),
        (None, Some(signal)) => killed(signal),
        (None, None) => ExitCode::FAILURE,
    }
}

fn killed(signal: i32) -> ExitCode {
    u8::try_from(128 + signal).map_or(ExitCode::FAILURE, ExitCode::from)
}
