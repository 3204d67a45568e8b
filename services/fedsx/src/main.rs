//! `fedsx`: a fed-sx domain in one binary.
//!
//! `demo` tells the story of two domains, `all` runs one, `bench` measures, and everything else is a client of a
//! running domain. A new command is a file in `commands/` and a line in `cli.rs`.

mod bench;
mod cli;
mod commands;
mod demo;
mod domain;
mod drafts;

use std::process::ExitCode;

/// Small values are made and dropped on many threads here, which the system's allocator takes a fifth of the time for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run().await
}
