//! The delivery protocol, explored exhaustively: every interleaving of fan-out, workers, parking and catch-up over
//! small logs, with crashes between any two steps, stale leases, expiring claims, lost and repeated messages, lost answers,
//! follows and undos while parked, blocks, ends of follows and poison.
//!
//! Every decision is taken by the kernel's own functions ([`rules::Rules::KERNEL`]), and the log is made of real
//! activities. `holds` shows that nothing in [`state::Violation`] can happen; `one_rule_less` takes one rule away at a
//! time and shows that something does.
//!
//! To add a rule: a field in `Rules`, its call in `world`, `workers`, `record` or `origins`, and a line in `one_rule_less` with the
//! smallest script that needs it. To add a situation: a script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of it is test"
)]

mod entry;
mod explore;
mod holds;
mod logs;
mod one_rule_less;
mod oracle;
mod origins;
mod record;
mod rules;
mod scripts;
mod setup;
mod state;
mod tables;
mod values;
mod workers;
mod world;
