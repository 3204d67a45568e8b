//! The gateway's router over a real log, with views that a test writes by hand and peers that answer over real HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's way to fail"
)]

mod answer;
mod domain;
mod letter;
mod peer;
mod views;

mod accepted;
mod discovery;
mod keys;
mod limits;
mod mutated;
mod reads;
mod refused;
mod signed_reads;
mod trace;
