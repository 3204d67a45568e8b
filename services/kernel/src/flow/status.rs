//! What is to be done in a flow, and how it stands as a whole.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::{Flow, Stand, StepState};
use crate::definition::{Action, EffectKind, Step};

/// How a flow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A step can run now.
    Running,
    /// It waits for a person, an activity, a timer or a webhook's answer.
    Waiting,
    /// A step has failed, and is tried again.
    Retrying,
    /// A step has failed, and waits for an operator.
    Failed,
    Completed,
    /// An operator has ended it.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Waiting,
        Self::Retrying,
        Self::Failed,
        Self::Completed,
        Self::Cancelled,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether nothing will ever happen any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub enum Next<'b> {
    /// This step can run, or go on with its next item.
    Run(&'b Step),
    /// The time that this step waits for has come.
    Elapsed(&'b Step),
    /// Nothing now.
    Rest,
}

/// How a step stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Others come first.
    Later,
    Now,
    /// No edge that leads to it was taken.
    Never,
}

impl Step {
    /// The last place in the log that its value names; 0: none.
    fn position(&self, value: &Value) -> u64 {
        let named = matches!(&self.action, Action::Suspend(_))
            || self
                .effect()
                .is_some_and(|effect| effect.kind == EffectKind::Emit);
        let of = |value: &Value| value.get("position").and_then(Value::as_u64).unwrap_or_default();
        match value {
            _ if !named => 0,
            Value::Array(values) => values.iter().map(of).max().unwrap_or_default(),
            value => of(value),
        }
    }
}

impl Flow {
    /// What is to be done at this time: of several steps, the one that is written first.
    #[must_use]
    pub fn next<'b>(&self, steps: &'b [Step], now: Timestamp) -> Next<'b> {
        if self.cancelled.is_some() {
            return Next::Rest;
        }
        let turns = self.turns(steps);
        for (step, turn) in steps.iter().zip(turns) {
            match (turn, self.stand(step)) {
                (Turn::Now, None | Some(Stand::Open)) => return Next::Run(step),
                (_, Some(Stand::Failing { retry_at, .. })) if *retry_at <= now => return Next::Run(step),
                (_, Some(Stand::Waiting(wait))) if wait.until.is_some_and(|until| until <= now) => {
                    return Next::Elapsed(step);
                }
                _ => {}
            }
        }
        Next::Rest
    }

    /// How it stands as a whole.
    #[must_use]
    pub fn status(&self, steps: &[Step]) -> Status {
        if self.cancelled.is_some() {
            return Status::Cancelled;
        }
        let turns = self.turns(steps);
        let runs = |(step, turn): (&Step, &Turn)| {
            *turn == Turn::Now && matches!(self.stand(step), None | Some(Stand::Open))
        };
        if steps.iter().zip(&turns).any(runs) {
            return Status::Running;
        }
        let stands = || self.steps.values().map(|state| &state.stand);
        if stands().any(|stand| matches!(stand, Stand::Failed { .. })) {
            Status::Failed
        } else if stands().any(|stand| matches!(stand, Stand::Failing { .. })) {
            Status::Retrying
        } else if stands().any(|stand| matches!(stand, Stand::Waiting(_) | Stand::Sent)) {
            Status::Waiting
        } else {
            Status::Completed
        }
    }

    /// When something happens by itself.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        if self.cancelled.is_some() {
            return None;
        }
        let due = |state: &StepState| match &state.stand {
            Stand::Waiting(wait) => wait.until,
            Stand::Failing { retry_at, .. } => Some(*retry_at),
            _ => None,
        };
        self.steps.values().filter_map(due).min()
    }

    /// Whether a step is passed over: no edge that leads to it was taken.
    #[must_use]
    pub fn is_skipped(&self, steps: &[Step], id: &str) -> bool {
        let turns = self.turns(steps);
        let mut turns = steps.iter().zip(turns);
        turns.any(|(step, turn)| step.id == id && turn == Turn::Never)
    }

    /// The last place in the log that the steps before this one have come to: of what they have published, and of what they
    /// have waited for. 0: none of them has. What it waits for itself cannot have been said before.
    #[must_use]
    pub fn reached(&self, steps: &[Step], id: &str) -> u64 {
        let Some(last) = steps.iter().position(|step| step.id == id) else {
            return 0;
        };
        let mut before = vec![false; steps.len()];
        let mut reached = 0;
        for (place, step) in steps.iter().enumerate().take(last + 1).rev() {
            if place != last && !before.get(place).is_some_and(|before| *before) {
                continue;
            }
            for edge in &step.after {
                if let Some(before) = before.get_mut(edge.step) {
                    *before = true;
                }
            }
            reached = reached.max(self.value(&step.id).map_or(0, |value| step.position(value)));
        }
        reached
    }

    pub(super) fn is_over(&self, steps: &[Step]) -> bool {
        self.status(steps).is_over()
    }

    fn stand(&self, step: &Step) -> Option<&Stand> {
        self.steps.get(&step.id).map(|state| &state.stand)
    }

    /// The turn of each step. Those before a step stand above it, so that one pass is enough.
    fn turns(&self, steps: &[Step]) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::with_capacity(steps.len());
        for step in steps {
            let mut turn = if step.after.is_empty() {
                Turn::Now
            } else {
                Turn::Never
            };
            for edge in &step.after {
                let before = steps.get(edge.step).zip(turns.get(edge.step));
                match before.map(|(before, turn)| (turn, self.value(&before.id))) {
                    // Passed over, and so is the edge.
                    Some((Turn::Never, _)) => {}
                    Some((_, Some(value))) => {
                        let taken = edge.case.as_ref().is_none_or(|case| value == case);
                        if taken && turn == Turn::Never {
                            turn = Turn::Now;
                        }
                    }
                    _ => {
                        turn = Turn::Later;
                        break;
                    }
                }
            }
            turns.push(turn);
        }
        turns
    }
}
