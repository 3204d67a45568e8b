//! The pure middle of fed-sx: what an activity is, what it is called, who signed it, whom it concerns, and what
//! delivery decides.
//!
//! Nothing here does IO, reads a clock or draws a random number: they come in as values, so that every decision can
//! be tested as a table and the delivery protocol can be explored exhaustively (`tests/delivery_protocol/`).
//!
//! Enter by [`activity::Activity::parse`] for what a peer sent, by [`draft::Draft::parse`] for what a local actor
//! wants to say, and by [`delivery`] for what happens to it afterwards.

pub mod activity;
pub mod actor;
pub mod audience;
pub mod blob;
pub mod canonical;
pub mod cid;
pub mod definition;
pub mod delivery;
pub mod draft;
pub mod flow;
pub mod follow;
pub mod http_signature;
pub mod json;
pub mod key;
pub mod origin;
pub mod predicate;
pub mod proof;
pub mod recurrence;
pub mod skip;
pub mod slug;
pub mod snapshot;
pub mod stream;
