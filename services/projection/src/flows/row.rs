//! A flow as the store keeps it.

use std::sync::Arc;

use fedsx_kernel::{
    definition::{Action, Step},
    flow::{Flow, Next, Stand, Status},
};

use super::{Engine, FlowError, run::Run};
use crate::entry::Entry;
use crate::store::flows::FlowRow;

impl Run {
    /// How it stands, for who looks for it.
    pub(crate) fn row(&self) -> FlowRow {
        let activity = &self.trigger.activity;
        let steps = self.behaviour.steps();
        let status = self.flow.status(steps);
        let next = match self.flow.next(steps, self.moved_at) {
            Next::Run(step) => Some(step),
            Next::Elapsed(_) | Next::Rest => None,
        };
        FlowRow {
            id: self.id.clone(),
            name: self.behaviour.name().to_owned(),
            behaviour: self.behaviour.cid().to_string(),
            activity: activity.cid().to_string(),
            activity_id: activity.id().to_owned(),
            position: self.trigger.position,
            verb: activity.verb().to_owned(),
            actor: activity.actor().to_owned(),
            object: activity.object_id().unwrap_or_default().to_owned(),
            public: activity.is_public(),
            started_at: self.started_at,
            version: self.version,
            last_position: self.last_position,
            moved_at: self.moved_at,
            status,
            state: serde_json::to_vec(&self.flow).unwrap_or_default(),
            cause: cause(&self.flow),
            needs: next
                .or_else(|| failing(&self.flow, steps))
                .map(needs)
                .unwrap_or_default(),
            due: match status {
                Status::Running => Some(self.moved_at),
                _ => self.flow.due(),
            },
            waits: waits(&self.flow),
        }
    }

    /// A flow as it was kept, with the activity that started it.
    pub(crate) async fn of(
        engine: &Engine,
        row: &FlowRow,
        trigger: Option<&Arc<Entry>>,
    ) -> Result<Self, FlowError> {
        let behaviour = engine.records.record(&row.behaviour).await?;
        let trigger = trigger.cloned().ok_or_else(|| FlowError::Unreadable {
            flow: row.id.clone(),
            problem: format!("its activity at {} is not there", row.position),
        })?;
        let flow = state(row)?;
        let at = (row.version, row.last_position, row.started_at, row.moved_at);
        Ok(Self::at(engine, row.id.clone(), behaviour, trigger, flow, at))
    }
}

/// The state of a flow as it was kept.
pub(super) fn state(row: &FlowRow) -> Result<Flow, FlowError> {
    serde_json::from_slice(&row.state).map_err(|error| FlowError::Unreadable {
        flow: row.id.clone(),
        problem: error.to_string(),
    })
}

/// What a step takes.
fn needs(step: &Step) -> String {
    match &step.action {
        Action::Effect(effect) | Action::Each(_, effect) => effect.kind.to_string(),
        Action::Branch(_) | Action::Suspend(_) => String::new(),
    }
}

/// The step that is tried again first.
fn failing<'s>(flow: &Flow, steps: &'s [Step]) -> Option<&'s Step> {
    let at = |step: &Step| match flow.steps.get(&step.id)?.stand {
        Stand::Failing { retry_at, .. } => Some(retry_at),
        _ => None,
    };
    // A timer that comes first needs nothing.
    let due = flow.due()?;
    steps.iter().find(|step| at(step) == Some(due))
}

fn cause(flow: &Flow) -> String {
    let cause = flow.steps.iter().find_map(|(id, state)| match &state.stand {
        Stand::Failed { cause } | Stand::Failing { cause, .. } => Some(format!("{id}: {cause}")),
        _ => None,
    });
    cause.unwrap_or_default()
}

fn waits(flow: &Flow) -> Vec<(String, String)> {
    if flow.cancelled.is_some() {
        return Vec::new();
    }
    let waits = flow.steps.iter().filter_map(|(id, state)| match &state.stand {
        Stand::Waiting(wait) => Some((id.clone(), wait.key.clone()?)),
        _ => None,
    });
    waits.collect()
}
