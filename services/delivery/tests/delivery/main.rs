//! Delivery against a real log and real peers on loopback. The clock is moved by hand where time matters.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says so by panicking, its harness too"
)]

mod addressing;
mod broker;
mod crash;
mod dead_letters;
mod domain;
mod fairness;
mod outcomes;
mod parking;
mod peer;
mod probes;
mod process;
mod queries;
mod replicas;
mod table;
mod tracing;
mod webhooks;
