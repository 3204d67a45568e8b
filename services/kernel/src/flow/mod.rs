//! Flows: runs of a behaviour's steps.
//!
//! What a flow is, is what its stream `flow/<id>` says: [`Transition`]s, each with the [`Event`]s that happened together.
//! [`Flow`] folds them; [`Flow::next`] says what is to be done. Effects are done elsewhere: between `next` and the append of
//! what came of it, at the version that the flow had. So whoever comes second is told so by the log, and a recorded effect is
//! not done again.

mod evaluate;
mod event;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod transition;

use sha2::{Digest as _, Sha256};

pub use evaluate::{Around, EvaluateError, about};
pub use event::{By, Event, Webhook};
pub use state::{Flow, Misfit, Stand, StepState, Wait};
pub use status::{Next, Status};
pub use transition::{Transition, TransitionError, VERB};

use crate::cid::Cid;

/// Most bytes of the value of a step, as JSON.
pub const MAX_VALUE: usize = 64 << 10;
/// The kv space of the domain's state, which behaviours change by `put`.
pub const SPACE: &str = "state";
/// Most activities that cause each other before an effect publishes no more.
pub const MAX_CAUSES: u64 = 8;

/// The id of the one flow of a behaviour on an activity: 52 letters and digits.
#[must_use]
pub fn id(behaviour: &Cid, activity: &Cid) -> String {
    let digest = Sha256::digest(format!("{behaviour}\n{activity}"));
    multibase::Base::Base32Lower.encode(digest)
}

/// What an effect of a flow is known by, wherever it goes: `<flow>/<step>`, and `/<item>` in an `each`.
#[must_use]
pub fn idempotency_key(flow: &str, step: &str, item: Option<u32>) -> String {
    match item {
        Some(item) => format!("{flow}/{step}/{item}"),
        None => format!("{flow}/{step}"),
    }
}
