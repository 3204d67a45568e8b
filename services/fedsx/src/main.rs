//! `fedsx`: a fed-sx domain in one binary.
//!
//! `demo` tells the story of two domains, `all` runs one, `bench` measures, and everything else is a client of a
//! running domain. A new command is a file in `commands/` and a line in `cli.rs`.

mod asked;
mod bench;
mod cli;
mod commands;
mod demo;
mod domain;
mod drafts;
mod genesis;
mod markdown;

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;

/// Small values are made and dropped on many threads here, which the system's allocator takes a fifth of the time for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many tasks may run before sockets are looked at. Under load what the database and peers have answered would wait for the
/// usual 61, each of which may verify a signature.
const EVENT_INTERVAL: u32 = 8;

/// How long threads that block may still take at the end; the promise to have left keeps more than that for it
/// ([`fedsx_runtime::shutdown`]).
const THREADS: Duration = Duration::from_millis(500);

fn main() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build()
        .context("no threads to run on")?;
    let code = runtime.block_on(cli::run());
    // What blocks a thread, a name that is not resolved, keeps nobody.
    runtime.shutdown_timeout(THREADS);
    Ok(code)
}
