//! How flows and behaviours are shown.

use fedsx_kernel::{
    definition::{Action, BehaviourRecord, Step, Suspend},
    flow::{Flow, Stand, Transition},
};
use fedsx_proto::v1::{Behaviour, FlowStep, FlowTransition};

/// Transitions that are shown of a flow.
const TRANSITIONS: usize = 1000;
/// Most bytes that are shown of the values of a flow's steps, and of its transitions.
pub(super) const MAX_SHOWN: usize = 8 << 20;

/// A step as it stands, with its value where that is not longer than what is `left`.
pub(super) fn step(flow: &Flow, record: &BehaviourRecord, step: &Step, left: &mut usize) -> FlowStep {
    let mut shown = FlowStep {
        id: step.id.clone(),
        kind: kind(step).to_owned(),
        each: matches!(step.action, Action::Each(..)),
        ..FlowStep::default()
    };
    let Some(state) = flow.steps.get(&step.id) else {
        let skipped = flow.is_skipped(record.steps(), &step.id);
        shown.stand = if skipped { "skipped" } else { "later" }.to_owned();
        return shown;
    };
    shown.attempts = state.attempts;
    shown.items = count(state.items.as_ref().map_or(0, Vec::len));
    shown.items_done = count(state.values.len());
    shown.stand = match &state.stand {
        Stand::Open => "open",
        Stand::Waiting(wait) => {
            shown.person = wait.person.clone().unwrap_or_default();
            shown.key = wait.key.clone().unwrap_or_default();
            if let Action::Suspend(Suspend {
                activity: Some(awaited),
                ..
            }) = &step.action
            {
                shown.verbs = awaited.verbs.clone();
            }
            shown.until_us = wait.until.map_or(0, |until| until.as_microsecond());
            "waiting"
        }
        Stand::Sent => "sent",
        Stand::Failing { cause, retry_at } => {
            shown.cause = cause.clone();
            shown.until_us = retry_at.as_microsecond();
            "failing"
        }
        Stand::Failed { cause } => {
            shown.cause = cause.clone();
            "failed"
        }
        Stand::Done { value } => {
            let value = value.to_string();
            if let Some(less) = left.checked_sub(value.len()) {
                *left = less;
                shown.value = value.into();
            }
            "done"
        }
    }
    .to_owned();
    shown
}

/// The latest transitions, in their order.
pub(super) fn latest(transitions: Vec<(u64, u64, Transition)>) -> Vec<FlowTransition> {
    let transitions = transitions.into_iter().rev().take(TRANSITIONS);
    let transitions = transitions.map(|(version, position, transition)| FlowTransition {
        version,
        position,
        at_us: transition.at.as_microsecond(),
        events: serde_json::to_vec(&transition.events).unwrap_or_default().into(),
    });
    let mut left = MAX_SHOWN;
    let fits = |transition: &FlowTransition| match left.checked_sub(transition.events.len()) {
        Some(less) => {
            left = less;
            true
        }
        None => false,
    };
    let mut latest: Vec<_> = transitions.take_while(fits).collect();
    latest.reverse();
    latest
}

fn kind(step: &Step) -> &'static str {
    match &step.action {
        Action::Effect(effect) | Action::Each(_, effect) => effect.kind.as_str(),
        Action::Branch(_) => "branch",
        Action::Suspend(_) => "suspend",
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A behaviour in effect since a position.
pub(super) fn behaviour(position: u64, record: &BehaviourRecord) -> Behaviour {
    let steps = record.steps().iter();
    Behaviour {
        name: record.name().to_owned(),
        cid: record.cid().to_string(),
        position,
        verbs: record.trigger().verbs.clone(),
        types: record.trigger().types.clone(),
        steps: steps.map(|step| format!("{}: {}", step.id, kind(step))).collect(),
    }
}
