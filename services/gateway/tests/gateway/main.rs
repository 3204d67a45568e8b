//! The gateway's router over a real log, with views that a test writes by hand and peers that answer over real HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's way to fail"
)]

mod answer;
mod domain;
mod flows_by_hand;
mod letter;
mod losing;
mod peer;
mod views;
mod wait;

mod accepted;
mod appended;
mod blobs;
mod discovery;
mod fairness;
mod flows;
mod gone;
mod keys;
mod limits;
mod metrics;
mod mutated;
mod order;
mod readiness;
mod reads;
mod refused;
mod replicas;
mod signed_reads;
mod standing;
mod trace;
mod types;
