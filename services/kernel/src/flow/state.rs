//! What a flow is after its transitions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::event::{By, Event};
use crate::definition::{Action, BehaviourRecord, Step};

/// A flow, as its entries tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Steps that something has happened to, by id.
    pub steps: BTreeMap<String, StepState>,
    /// Why an operator has ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<String>,
}

/// What has happened to a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct StepState {
    pub stand: Stand,
    /// What an `each` goes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Value>>,
    /// The values of the items that are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// Attempts at what is done now that came to nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// How many of them count no more, since an operator has had it tried again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forgiven: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Stand {
    /// It can go on.
    #[default]
    Open,
    Waiting(Wait),
    /// A webhook is on its way.
    Sent,
    Failing {
        cause: String,
        retry_at: Timestamp,
    },
    /// It has failed, and is not tried again by itself.
    Failed {
        cause: String,
    },
    Done {
        value: Value,
    },
}

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// An event that cannot have happened to the flow as it stands: whoever asked for it was too late, or is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("the flow has ended")]
    Ended,
    #[error("there is no step {0}")]
    NoStep(String),
    #[error("the step {0} does not wait")]
    NotWaiting(String),
    #[error("the step {step} does not wait for {by}")]
    NotFor { step: String, by: &'static str },
    #[error("the step {0} has not failed")]
    NotFailed(String),
    #[error("the step {0} is not at that")]
    NotThere(String),
}

impl Flow {
    /// Lets an event happen.
    ///
    /// # Errors
    /// [`Misfit`]: nothing has changed.
    pub fn apply(&mut self, behaviour: &BehaviourRecord, event: &Event) -> Result<(), Misfit> {
        if self.cancelled.is_some() {
            return Err(Misfit::Ended);
        }
        if let Event::Cancelled { reason } = event {
            if self.is_over(behaviour.steps()) {
                return Err(Misfit::Ended);
            }
            self.cancelled = Some(reason.clone());
            return Ok(());
        }
        let id = event.step();
        let step = behaviour.step(id).ok_or_else(|| Misfit::NoStep(id.to_owned()))?;
        let mut state = self.steps.get(id).cloned().unwrap_or_default();
        happen(step, &mut state, event)?;
        self.steps.insert(id.to_owned(), state);
        Ok(())
    }

    /// The value of a step that is done.
    #[must_use]
    pub fn value(&self, step: &str) -> Option<&Value> {
        match &self.steps.get(step)?.stand {
            Stand::Done { value } => Some(value),
            _ => None,
        }
    }
}

impl Event {
    /// The step that it happens to; empty: to the flow.
    fn step(&self) -> &str {
        match self {
            Self::Done { step, .. }
            | Self::Items { step, .. }
            | Self::Suspended { step, .. }
            | Self::Resumed { step, .. }
            | Self::Sent { step, .. }
            | Self::Answered { step, .. }
            | Self::Failed { step, .. }
            | Self::Retried { step } => step,
            Self::Cancelled { .. } => "",
        }
    }
}

fn happen(step: &Step, state: &mut StepState, event: &Event) -> Result<(), Misfit> {
    let id = || step.id.clone();
    let can_go_on = matches!(state.stand, Stand::Open | Stand::Failing { .. });
    match event {
        Event::Done { item, value, .. } if can_go_on && state.is_at(step, *item) => state.done(value.clone()),
        Event::Items { items, .. } if can_go_on && state.items.is_none() => {
            state.stand = if items.is_empty() {
                Stand::Done {
                    value: Value::Array(Vec::new()),
                }
            } else {
                Stand::Open
            };
            state.items = Some(items.clone());
        }
        Event::Suspended {
            person,
            key,
            until,
            since,
            ..
        } if can_go_on => {
            state.stand = Stand::Waiting(Wait {
                person: person.clone(),
                key: key.clone(),
                until: *until,
                since: *since,
            });
        }
        Event::Resumed { by, value, .. } => {
            let Stand::Waiting(wait) = &state.stand else {
                return Err(Misfit::NotWaiting(id()));
            };
            let (waits, by) = match by {
                By::Person => (wait.person.is_some(), "a person"),
                By::Activity => (wait.key.is_some(), "an activity"),
                By::Timer => (wait.until.is_some(), "a timer"),
            };
            if !waits {
                return Err(Misfit::NotFor { step: id(), by });
            }
            state.done(value.clone());
        }
        Event::Sent { item, attempt, .. } if can_go_on && state.is_at(step, *item) => {
            state.attempts = attempt.saturating_sub(1);
            state.stand = Stand::Sent;
        }
        Event::Answered {
            item,
            attempt,
            delivered,
            status,
            cause,
            ..
        } if state.stand == Stand::Sent && state.is_at(step, *item) && *attempt == state.attempts + 1 => {
            if *delivered {
                state.done(json!({ "status": status }));
            } else {
                state.attempts = *attempt;
                state.failed(step, cause);
            }
        }
        Event::Failed {
            item,
            attempt,
            cause,
            retry_at,
            ..
        } if can_go_on && (state.is_at(step, *item) || item.is_none()) => {
            state.attempts = *attempt;
            match *retry_at {
                Some(retry_at) => {
                    state.stand = Stand::Failing {
                        cause: cause.clone(),
                        retry_at,
                    };
                }
                // What an `each` goes over is no effect: without it there is nothing to go on with.
                None if !state.is_at(step, *item) => state.stand = Stand::Failed { cause: cause.clone() },
                None => state.failed(step, cause),
            }
        }
        Event::Retried { .. } => match state.stand {
            Stand::Failed { .. } | Stand::Failing { .. } => {
                state.stand = Stand::Open;
                state.forgiven = state.attempts;
            }
            // Its answer is not waited for any longer, and is not taken for that of the next attempt.
            Stand::Sent => {
                state.stand = Stand::Open;
                state.attempts += 1;
                state.forgiven = state.attempts;
            }
            _ => return Err(Misfit::NotFailed(id())),
        },
        _ => return Err(Misfit::NotThere(id())),
    }
    Ok(())
}

impl StepState {
    /// The item that is to be done next; none: the step is no `each`, or does not know yet what it goes over.
    #[must_use]
    pub fn item(&self) -> Option<(u32, &Value)> {
        let place = self.values.len();
        let item = self.items.as_ref()?.get(place)?;
        Some((u32::try_from(place).ok()?, item))
    }

    /// About how large the values of the items are that are done. Bytes.
    #[must_use]
    pub fn values_size(&self) -> usize {
        self.values.iter().map(size).sum()
    }

    fn is_at(&self, step: &Step, item: Option<u32>) -> bool {
        match step.action {
            Action::Each(..) => item.is_some() && self.item().map(|(place, _)| place) == item,
            _ => item.is_none(),
        }
    }

    /// What it was at has failed, and is not tried again by itself.
    fn failed(&mut self, step: &Step, cause: &str) {
        if step.continue_on_error {
            self.done(json!({ "error": cause }));
        } else {
            self.stand = Stand::Failed {
                cause: cause.to_owned(),
            };
        }
    }

    /// What it was at is done: the step, or an item of it.
    fn done(&mut self, value: Value) {
        (self.attempts, self.forgiven) = (0, 0);
        self.stand = match &self.items {
            None => Stand::Done { value },
            Some(items) => {
                self.values.push(value);
                if self.values.len() < items.len() {
                    Stand::Open
                } else {
                    self.items = None;
                    Stand::Done {
                        value: Value::Array(std::mem::take(&mut self.values)),
                    }
                }
            }
        };
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(values) => values.iter().map(|value| size(value) + 1).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| key.len() + size(value) + 4)
            .sum(),
    }
}
