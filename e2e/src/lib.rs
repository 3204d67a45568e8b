//! The harness of the scenarios in `tests/`: real `fedsx` processes, hostile peers, and waiting for conditions.
//!
//! A [`Node`] is a domain that runs as a process of its own and can be killed; a [`Stranger`] is a peer made of keys and
//! an HTTP server, which signs what it likes and breaks what it likes. Nothing sleeps: [`eventually`] polls until a
//! condition holds and tells its last state where it never does. A new scenario is a test in the file of
//! `tests/scenarios/` that its subject has, and shorter than the sentence it proves.
//!
//! Everything here fails by panicking, since that fails the test; a node whose test panics prints the end of its log.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the harness runs inside tests alone"
)]

mod answer;
mod binary;
mod collector;
mod node;
mod patience;
mod port;
mod stranger;

pub use answer::{Answer, get};
pub use binary::{binary, workspace};
pub use collector::{Collector, Span};
pub use node::{Delivery, Entry, Node, Output, Published, Publisher, fedsx, settle};
pub use patience::eventually;
pub use port::Port;
pub use stranger::{Letter, Received, Scripted, Stranger, without_proof};
