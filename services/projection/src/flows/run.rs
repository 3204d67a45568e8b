//! A flow in memory, between two transitions.

use std::sync::Arc;

use fedsx_kernel::{
    definition::{BehaviourRecord, EffectKind},
    flow::{self, Around, Event, Flow, Next, StepState},
};
use fedsx_proto::v1::KvChange;
use fedsx_runtime::telemetry;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tracing::Span;

use super::Engine;
use crate::entry::Entry;

/// When a failed effect is tried again; after the last, an operator has to say so. Seconds.
const LADDER: [i64; 5] = [5, 30, 120, 600, 3600];

/// An effect failed.
#[derive(Debug, Clone)]
pub(super) struct NotDone {
    pub(super) cause: String,
    /// Whether it is tried again by itself.
    pub(super) passes: bool,
}

impl NotDone {
    pub(super) fn wrong(cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            passes: false,
        }
    }
}

/// How long is waited after an attempt, before which so many have failed; none: it was the last.
fn pause(failed: u32) -> Option<SignedDuration> {
    let place = usize::try_from(failed).ok()?;
    LADDER.get(place).copied().map(SignedDuration::from_secs)
}

/// A flow that is worked on.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) behaviour: Arc<BehaviourRecord>,
    /// The entry of the activity that started it.
    pub(crate) trigger: Arc<Entry>,
    /// As it stands with what is pending.
    pub(crate) flow: Flow,
    /// As the log has it.
    recorded: Flow,
    /// What has happened since.
    pub(crate) pending: Vec<Event>,
    /// Bytes of that.
    pub(super) weight: usize,
    /// What the domain's state changes with it.
    pub(crate) kv: Vec<KvChange>,
    pub(crate) version: u64,
    pub(crate) last_position: u64,
    pub(crate) started_at: Timestamp,
    pub(crate) moved_at: Timestamp,
    /// The `traceparent` that what it does comes under: of the activity's append, or of its beginning where that was here.
    pub(crate) trace: String,
    /// What expressions may name of it.
    about: Value,
}

impl Run {
    /// A flow that has not begun.
    pub(crate) fn new(engine: &Engine, behaviour: Arc<BehaviourRecord>, trigger: Arc<Entry>) -> Self {
        let id = flow::id(behaviour.cid(), trigger.activity.cid());
        let now = engine.clock.now();
        Self::at(engine, id, behaviour, trigger, Flow::default(), (0, 0, now, now))
    }

    /// A flow as the log has it, at `(version, position, started, moved)`.
    pub(crate) fn at(
        engine: &Engine,
        id: String,
        behaviour: Arc<BehaviourRecord>,
        trigger: Arc<Entry>,
        flow: Flow,
        (version, last_position, started_at, moved_at): (u64, u64, Timestamp, Timestamp),
    ) -> Self {
        Self {
            about: flow::about(&id, behaviour.name(), &engine.source.origin.base()),
            id,
            behaviour,
            trace: trigger.traceparent.clone(),
            trigger,
            recorded: flow.clone(),
            flow,
            pending: Vec::new(),
            weight: 0,
            kv: Vec::new(),
            version,
            last_position,
            started_at,
            moved_at,
        }
    }

    /// A span of the flow, in the trace of the activity that started it.
    pub(super) fn span(&self, name: &'static str) -> Span {
        let span = tracing::info_span!(
            "flow",
            "otel.name" = name,
            "fedsx.flow.id" = self.id,
            "fedsx.behaviour" = self.behaviour.name(),
            "activitypub.activity.id" = self.trigger.activity.id(),
        );
        telemetry::continue_trace(&span, &self.trace);
        span
    }

    /// The span of a step's effect, within the one that it is done in.
    pub(super) fn effect_span(&self, kind: EffectKind, step: &str) -> Span {
        tracing::info_span!(
            "effect",
            "otel.name" = format!("effect {}", kind.as_str()),
            "fedsx.flow.step" = step,
            "fedsx.flow.item" = self.item(step),
        )
    }

    pub(crate) fn state(&self, step: &str) -> Option<&StepState> {
        self.flow.steps.get(step)
    }

    /// The item that a step is at, in an `each`.
    pub(crate) fn item(&self, step: &str) -> Option<u32> {
        self.state(step).and_then(StepState::item).map(|(place, _)| place)
    }

    /// What the expressions of a step may name now.
    pub(crate) fn around(&self, step: &str) -> Around<'_> {
        Around::new(
            self.trigger.activity.document(),
            &self.trigger.about,
            &self.about,
            &self.flow,
            self.state(step),
        )
    }

    /// Lets something happen. What does not fit was decided by an older state, and is dropped.
    pub(crate) fn happens(&mut self, event: Event) {
        match self.flow.apply(&self.behaviour, &event) {
            Ok(()) => {
                self.weight += serde_json::to_string(&event).map_or(0, |text| text.len());
                self.pending.push(event);
            }
            Err(misfit) => tracing::debug!(flow = self.id, %misfit, "an event does not fit"),
        }
    }

    /// The step's effect was done, once or for the item that is next.
    pub(crate) fn done(&mut self, step: &str, kind: EffectKind, value: Value) {
        let item = self.item(step);
        self.happens(Event::Done {
            step: step.to_owned(),
            item,
            effect: Some(kind),
            value,
        });
    }

    /// The step failed.
    pub(super) fn failed(&mut self, step: &str, failed: NotDone, now: Timestamp) {
        let NotDone { cause, passes } = failed;
        telemetry::fail(&Span::current(), "effect_failed", cause.clone());
        let state = self
            .state(step)
            .map_or((0, 0), |state| (state.attempts, state.forgiven));
        let (attempt, counted) = (state.0 + 1, state.0.saturating_sub(state.1));
        let wait = passes.then(|| pause(counted)).flatten();
        self.happens(Event::Failed {
            step: step.to_owned(),
            item: self.item(step),
            attempt,
            cause: cause.chars().take(500).collect(),
            retry_at: wait.and_then(|wait| now.checked_add(wait).ok()),
        });
    }

    /// The log takes nothing of what comes next: an operator has to see to it.
    pub(super) fn stands(&mut self, cause: String, now: Timestamp) {
        let behaviour = self.behaviour.clone();
        if let Next::Run(step) | Next::Elapsed(step) = self.flow.next(behaviour.steps(), now) {
            self.failed(&step.id, NotDone::wrong(cause), now);
        }
    }

    /// What was pending is in the log.
    pub(super) fn recorded(&mut self, version: u64, position: u64, at: Timestamp) {
        self.recorded = self.flow.clone();
        self.pending.clear();
        self.kv.clear();
        self.weight = 0;
        if self.version == 0 {
            self.started_at = at;
        }
        self.version = version;
        self.last_position = position;
        self.moved_at = at;
    }

    /// What was pending has not happened.
    pub(super) fn back(&mut self) {
        self.flow = self.recorded.clone();
        self.pending.clear();
        self.kv.clear();
        self.weight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_ever_later_and_then_no_more() {
        let pauses: Vec<_> = (0..7)
            .map(|failed| pause(failed).map(|pause| pause.as_secs()))
            .collect();
        let ladder = [Some(5), Some(30), Some(120), Some(600), Some(3600), None, None];
        assert_eq!(pauses, ladder);
    }
}
