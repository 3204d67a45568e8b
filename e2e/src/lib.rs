//! The harness of the scenarios in `tests/`: real `fedsx` processes, hostile peers, and waiting for conditions.
//!
//! A [`Node`] is a domain that runs as one process; a [`Deployment`] is one whose roles are processes of their own, on
//! PostgreSQL and RabbitMQ. Both can be killed, and both are a [`Domain`] to look into. A [`Stranger`] is a peer made of
//! keys and an HTTP server, which signs what it likes and breaks what it likes; a [`Proxy`] stands in front of a peer and
//! spoils the way there. A [`Load`] publishes while all that happens, and [`verify`] compares what it was told with what
//! the logs and the ledger hold. Nothing sleeps: [`eventually`] polls until a condition holds and tells its last state
//! where it never does. A new scenario is a test in the file of `tests/scenarios/` that its subject has, and shorter than
//! the sentence it proves.
//!
//! Everything here fails by panicking, since that fails the test; a process whose test panics prints the end of its log.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the harness runs inside tests alone"
)]

mod answer;
mod binary;
mod certificate;
mod collector;
mod deployment;
mod domain;
mod jaeger;
mod load;
mod node;
mod patience;
mod process;
mod proxy;
mod stranger;
mod verify;

pub use answer::{Answer, ask, get, get_as};
pub use binary::{binary, workspace};
pub use certificate::Certificate;
pub use collector::{Collector, Span};
pub use deployment::{Deployment, Plan, Replica};
pub use domain::{Delivery, Domain, Entry, Output, Published, Publisher, fedsx, settle};
pub use fedsx_runtime::token::Role;
pub use fedsx_testing::{Port, smtp};
pub use jaeger::Jaeger;
pub use load::Load;
pub use node::Node;
pub use patience::eventually;
pub use proxy::{Fault, Proxy};
pub use stranger::{Letter, Received, Scripted, Shown, Stranger, without_proof};
pub use verify::{assert_gapless, verify};
