//! What operators do to flows.

use std::sync::Arc;

use fedsx_kernel::{
    flow::{By, Event, Misfit, Stand},
    stream::Stream,
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Value, json};
use tracing::Instrument as _;

use super::{Engine, FlowError, commit::Written, run::Run, trigger::InEffect};
use crate::store::flows::FlowRow;

/// How often a move is tried again that others were faster than.
const TRIES: u32 = 10;
/// Most bytes of what a person says.
const MAX_SAID: usize = 16 << 10;

/// What an operator wants.
#[derive(Debug)]
pub(crate) enum Move {
    /// The step, or the only one that waits for a person, goes on with this value.
    Resume {
        step: String,
        value: Value,
    },
    /// The step, or every one that has failed, is tried again.
    Retry {
        step: String,
    },
    Cancel {
        reason: String,
    },
}

impl Engine {
    /// Moves a flow, and answers how it stands then.
    pub(crate) async fn move_flow(&self, id: &str, wanted: &Move) -> Result<FlowRow, Refusal> {
        for _ in 0..TRIES {
            let run = self.refold(id).await.map_err(refuse)?;
            let mut run = run.ok_or_else(|| unknown(id))?;
            for event in events(&run, wanted)? {
                run.happens(event);
            }
            // What needs nothing more is done when the caller is answered.
            let refreshed = self.types.refresh(std::slice::from_ref(&run.behaviour)).await;
            refreshed.map_err(|error| refuse(error.into()))?;
            let span = run.span("flow.move");
            span.in_scope(|| run.think(self));
            match self
                .writer
                .write(&mut run)
                .instrument(span)
                .await
                .map_err(|error| refuse(error.into()))?
            {
                Written::Yes => {
                    let row = run.row();
                    self.hand_over(vec![run]).await.map_err(refuse)?;
                    return Ok(row);
                }
                Written::Moved | Written::Lost => {}
                Written::Refused => return Err(Refusal::new(Code::TooLarge, "the log does not take it")),
            }
        }
        let detail = format!("the flow {id} is moved by others all the time");
        Err(Refusal::new(Code::Unavailable, detail))
    }

    /// Starts a behaviour on an activity of the log; true: it had begun before.
    pub(crate) async fn start_flow(
        &self,
        behaviour: &str,
        activity: &str,
    ) -> Result<(FlowRow, bool), Refusal> {
        let mut in_effect = InEffect::default();
        for kept in self
            .store
            .behaviours()
            .await
            .map_err(|error| refuse(error.into()))?
        {
            if let Some(record) = self.records.keep(&kept) {
                in_effect.add(kept.position, record);
            }
        }
        let record = in_effect.now().find(|(_, record)| record.name() == behaviour);
        let Some((_, record)) = record else {
            let known: Vec<_> = in_effect.now().map(|(_, record)| record.name()).collect();
            let detail = format!(
                "there is no behaviour {behaviour:?}; there are {}",
                known.join(", ")
            );
            return Err(Refusal::new(Code::NotFound, detail));
        };
        if record.steps().is_empty() {
            let detail = format!("the behaviour {behaviour:?} is switched off: it has no steps");
            return Err(Refusal::new(Code::FlowState, detail));
        }
        let entry = self.entry_of(activity).await.map_err(refuse)?;
        let entry = entry
            .ok_or_else(|| Refusal::new(Code::NotFound, format!("the log has no activity {activity:?}")))?;
        if !matches!(entry.stream, Stream::Outbox(_) | Stream::Inbox(_)) {
            let detail = format!(
                "position {} is no activity of an actor, but a {} in the stream {}: flows start on what actors say",
                entry.position,
                entry.activity.verb(),
                entry.stream
            );
            return Err(Refusal::new(Code::FlowState, detail));
        }
        let run = Run::new(self, Arc::clone(record), entry);
        let id = run.id.clone();
        let existed = self.refold(&id).await.map_err(refuse)?.is_some();
        if !existed {
            self.begin(vec![run]).await.map_err(refuse)?;
        }
        let run = self.refold(&id).await.map_err(refuse)?;
        Ok((run.ok_or_else(|| unknown(&id))?.row(), existed))
    }
}

/// What happens to the flow.
fn events(run: &Run, wanted: &Move) -> Result<Vec<Event>, Refusal> {
    let steps = match wanted {
        Move::Resume { step, value } => {
            if value.to_string().len() > MAX_SAID {
                let detail = format!("`value` has more than {MAX_SAID} bytes");
                return Err(Refusal::new(Code::TooLarge, detail));
            }
            let waits = |stand: &Stand| matches!(stand, Stand::Waiting(wait) if wait.person.is_some());
            let step = named(run, step, waits, "waits for a person")?;
            if let [one, two, ..] = step.as_slice() {
                let detail = format!("several steps wait for a person: name one of {one}, {two}");
                return Err(Refusal::new(Code::Malformed, detail));
            }
            let value = json!({ "by": "person", "value": value });
            let resumed = |step| Event::Resumed {
                step,
                by: By::Person,
                value: value.clone(),
            };
            step.into_iter().map(resumed).collect()
        }
        Move::Retry { step } => {
            let failed = |stand: &Stand| matches!(stand, Stand::Failed { .. } | Stand::Failing { .. });
            let steps = named(run, step, failed, "has failed")?;
            steps.into_iter().map(|step| Event::Retried { step }).collect()
        }
        Move::Cancel { reason } => vec![Event::Cancelled {
            reason: reason.chars().take(1000).collect(),
        }],
    };
    let mut flow = run.flow.clone();
    for event in &steps {
        flow.apply(&run.behaviour, event)
            .map_err(|misfit| misfits(&misfit))?;
    }
    Ok(steps)
}

/// The step that is named, or all that stand so.
fn named(run: &Run, step: &str, stands: impl Fn(&Stand) -> bool, what: &str) -> Result<Vec<String>, Refusal> {
    if !step.is_empty() {
        return Ok(vec![step.to_owned()]);
    }
    let steps = run.flow.steps.iter().filter(|(_, state)| stands(&state.stand));
    let steps: Vec<String> = steps.map(|(id, _)| id.clone()).collect();
    match steps.is_empty() {
        true => Err(Refusal::new(Code::FlowState, format!("no step {what}"))),
        false => Ok(steps),
    }
}

fn misfits(misfit: &Misfit) -> Refusal {
    let code = match misfit {
        Misfit::NoStep(_) => Code::NotFound,
        _ => Code::FlowState,
    };
    Refusal::new(code, misfit.to_string())
}

pub(super) fn unknown(id: &str) -> Refusal {
    let id: String = id.chars().take(64).collect();
    Refusal::new(Code::NotFound, format!("there is no flow {id:?}"))
}

pub(super) fn refuse(error: FlowError) -> Refusal {
    match error {
        FlowError::Source(crate::source::SourceError::Refused(refusal)) | FlowError::Views(refusal) => {
            refusal
        }
        FlowError::Store(error) => error.refuse(),
        FlowError::Source(error) => Refusal::new(Code::Unavailable, error.to_string()),
        error => Refusal::new(Code::Internal, error.to_string()),
    }
}
