//! Predicates: the published vectors, known killers, laws, and the agreement with another implementation of CEL.
//!
//! `PROPTEST_CASES=1000000` tries the laws that often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod generated;
mod killers;
mod laws;
mod oracle;
mod typed;
mod vectors;
