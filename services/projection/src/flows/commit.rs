//! Transitions, appended at the version that they were decided at.

use std::sync::Arc;

use fedsx_kernel::{flow::Transition, origin::Origin, stream::Stream};
use fedsx_proto::v1::{
    AppendManyRequest, AppendRequest, AppendResponse, Appended, Duplicate, Expected, Meta, NewEntry,
    append_response::Outcome, append_result, expected::Kind,
};
use fedsx_runtime::{
    clock::Clock,
    code::{Code, Refusal},
};
use jiff::Timestamp;

use super::run::Run;
use crate::{
    LogClient,
    measure::Measures,
    source::{self, SourceError},
};

/// Appends of one call.
const MANY: usize = 500;

/// Writes transitions. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pub(crate) client: LogClient,
    pub(crate) origin: Origin,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) measures: Measures,
}

/// What became of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The log has it, or there was nothing to write.
    Yes,
    /// Somebody else has moved the flow, or it exists already: what is known of it is old.
    Moved,
    /// Somebody else has changed the state that it was to change: it is as it was before.
    Lost,
    /// The log will not take it: it is as it was before, and what says so is pending.
    Refused,
}

impl Writer {
    /// Records what is pending.
    ///
    /// # Errors
    /// [`SourceError`]: it is unknown whether it was written. The same again finds out.
    pub(crate) async fn write(&self, run: &mut Run) -> Result<Written, SourceError> {
        let Some((request, at)) = self.request(run) else {
            return Ok(Written::Yes);
        };
        let mut client = self.client.clone();
        match source::within(client.append(request)).await {
            Ok(answer) => self.settle(run, answer.into_inner(), at),
            Err(SourceError::Refused(refusal)) if !passes(&refusal) => Ok(refused(run, &refusal, at)),
            Err(error) => Err(error),
        }
    }

    /// Records what is pending of flows that have nothing to do with each other.
    ///
    /// # Errors
    /// As [`Self::write`]; of those before it is known.
    pub(crate) async fn write_all(&self, runs: &mut [Run]) -> Result<Vec<Written>, SourceError> {
        let mut all = Vec::with_capacity(runs.len());
        for runs in runs.chunks_mut(MANY) {
            let requests: Vec<_> = runs.iter().map(|run| self.request(run)).collect();
            let appends = requests
                .iter()
                .flatten()
                .map(|(request, _)| request.clone())
                .collect();
            let mut client = self.client.clone();
            let many = AppendManyRequest { appends };
            let answer = source::within(client.append_many(many)).await?;
            let mut results = answer.into_inner().results.into_iter();
            for (run, request) in runs.iter_mut().zip(requests) {
                let Some((_, at)) = request else {
                    all.push(Written::Yes);
                    continue;
                };
                all.push(match results.next().and_then(|result| result.result) {
                    Some(append_result::Result::Answered(answer)) => self.settle(run, answer, at)?,
                    Some(append_result::Result::Refused(told)) => {
                        let code = Code::parse(&told.code).unwrap_or(Code::Internal);
                        let refusal = Refusal::new(code, told.detail);
                        if passes(&refusal) {
                            return Err(SourceError::Refused(refusal));
                        }
                        refused(run, &refusal, at)
                    }
                    None => return Err(unanswered()),
                });
            }
        }
        Ok(all)
    }

    fn request(&self, run: &Run) -> Option<(AppendRequest, Timestamp)> {
        // The first says that there is a flow, even where nothing has happened yet.
        if run.pending.is_empty() && run.version > 0 {
            return None;
        }
        let at = self.clock.now();
        let transition = Transition {
            flow: run.id.clone(),
            name: run.behaviour.name().to_owned(),
            behaviour: run.behaviour.cid().clone(),
            activity: run.trigger.activity.cid().clone(),
            position: run.trigger.position,
            from: run.version,
            at,
            status: run.flow.status(run.behaviour.steps()),
            events: run.pending.clone(),
        };
        let body = transition.activity(&self.origin);
        let body = body
            .ok()
            .and_then(|activity| serde_json::to_vec(activity.document()).ok());
        let expected = match run.version {
            0 => Kind::Empty(true),
            version => Kind::Version(version),
        };
        let request = AppendRequest {
            stream: Stream::Flow(run.id.clone()).to_string(),
            expected: Some(Expected { kind: Some(expected) }),
            entries: vec![NewEntry {
                // Without one, the log says why it takes none.
                body: body.unwrap_or_default().into(),
                meta: Some(Meta {
                    traceparent: run.trace.clone(),
                    ..Meta::default()
                }),
            }],
            kv: run.kv.clone(),
        };
        Some((request, at))
    }

    fn settle(&self, run: &mut Run, answer: AppendResponse, at: Timestamp) -> Result<Written, SourceError> {
        Ok(match answer.outcome {
            Some(
                Outcome::Appended(Appended { version, position, .. })
                // The very same transition: its answer was lost.
                | Outcome::Duplicate(Duplicate { version, position, .. }),
            ) => {
                run.recorded(version, position, at);
                let status = run.flow.status(run.behaviour.steps());
                self.measures.moved(run.behaviour.name(), status);
                Written::Yes
            }
            Some(Outcome::Conflict(_)) => {
                run.back();
                Written::Moved
            }
            Some(Outcome::KvConflict(_)) => {
                run.back();
                Written::Lost
            }
            None => return Err(unanswered()),
        })
    }
}

fn refused(run: &mut Run, refusal: &Refusal, at: Timestamp) -> Written {
    tracing::warn!(flow = run.id, %refusal, "the log does not take a transition");
    run.back();
    run.stands(format!("{}: {}", refusal.code, refusal.detail), at);
    Written::Refused
}

fn passes(refusal: &Refusal) -> bool {
    matches!(refusal.code, Code::Unavailable | Code::Internal)
}

fn unanswered() -> SourceError {
    SourceError::Refused(Refusal::new(
        Code::Internal,
        "the log answered what it was not asked",
    ))
}
