//! What a domain promises, shown by real processes: each file is one subject, each test one sentence of the promise.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of it is tests"
)]

mod blobs;
mod blocks;
mod cli;
mod content;
mod crash;
mod delivery;
mod demo;
mod dependencies;
mod discovery;
mod distributed;
mod flows;
mod follows;
mod genesis;
mod inbox;
mod leaving;
mod loops;
mod mail;
mod reading;
mod relations;
mod resolve;
mod restart;
mod self_test;
mod smoke;
mod snapshots;
mod steps;
mod story;
mod trace;
mod types;
mod views;
