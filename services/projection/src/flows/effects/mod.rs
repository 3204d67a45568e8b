//! What effects do. Those that need nothing from outside are done while the flow thinks; of the others, each comes between two
//! transitions.
//!
//! What an effect is said to do follows from what was recorded before it. So whoever is killed in between does the same again, by
//! the same key: an activity is published once, the domain's state changes with the transition that says so, and a mail has the
//! same message id.

use fedsx_kernel::{
    definition::{Effect, EffectKind, Step},
    flow,
};
use fedsx_runtime::code::Refusal;
use serde_json::Value;
use tracing::Instrument as _;

use super::{
    Engine, FlowError,
    commit::Written,
    run::{NotDone, Run},
};
use crate::source::SourceError;

mod at_once;
mod emit;
mod mail;
mod put;
mod query;
mod webhook;

pub(super) use at_once::{at_once, is_at_once};

/// Why an effect has not been done.
#[derive(Debug)]
enum Undone {
    Failed(NotDone),
    /// What does effects is away; nothing is known of this one.
    Away(FlowError),
}

impl Undone {
    fn wrong(cause: impl Into<String>) -> Self {
        Self::Failed(NotDone::wrong(cause))
    }

    fn refused(refusal: &Refusal) -> Self {
        Self::wrong(format!("{}: {}", refusal.code, refusal.detail))
    }
}

impl From<SourceError> for Undone {
    fn from(error: SourceError) -> Self {
        Self::Away(error.into())
    }
}

impl From<fedsx_kernel::flow::EvaluateError> for Undone {
    fn from(error: fedsx_kernel::flow::EvaluateError) -> Self {
        Self::wrong(error.to_string())
    }
}

fn said_text(run: &Run, step: &Step, effect: &Effect, key: &str) -> Result<Option<String>, String> {
    match run.around(&step.id).said(effect, key) {
        Ok(None | Some(Value::Null)) => Ok(None),
        Ok(Some(Value::String(text))) => Ok(Some(text)),
        Ok(Some(_)) => Err(format!("`{key}` is no text")),
        Err(error) => Err(error.to_string()),
    }
}

/// The id of a local actor who is named by it, by the name alone, or, the base, by nothing.
fn actor(engine: &Engine, named: Option<&str>) -> String {
    let origin = &engine.source.origin;
    match named {
        None | Some("") => origin.base(),
        Some(id) if id.contains("://") => id.to_owned(),
        Some(name) => origin.actor(name),
    }
}

impl Engine {
    /// Does the effect of a step, and records what came of it where that cannot wait.
    pub(super) async fn effect(
        &self,
        run: &mut Run,
        kind: EffectKind,
        step: &str,
    ) -> Result<Written, FlowError> {
        let behaviour = run.behaviour.clone();
        let Some((step, effect)) = behaviour.step(step).and_then(|step| Some((step, step.effect()?))) else {
            return Ok(Written::Yes);
        };
        // What is done outside must follow from what is recorded.
        if matches!(kind, EffectKind::Emit | EffectKind::Mail) {
            let written = self.writer.write(run).await?;
            if written != Written::Yes {
                return Ok(written);
            }
        }
        let span = run.effect_span(kind, &step.id);
        self.outside(run, kind, step, effect).instrument(span).await
    }

    async fn outside(
        &self,
        run: &mut Run,
        kind: EffectKind,
        step: &Step,
        effect: &Effect,
    ) -> Result<Written, FlowError> {
        let done = match kind {
            EffectKind::Emit => self.emit(run, step, effect).await,
            EffectKind::Mail => return self.mail(run, step, effect).await,
            EffectKind::Query => self.query(run, step, effect).await,
            EffectKind::Webhook => return self.webhook(run, step, effect).await,
            EffectKind::Put => return self.put(run, step, effect).await,
            EffectKind::Validate | EffectKind::Notify => return Ok(Written::Yes),
        };
        self.outcome(run, kind, step, done)?;
        Ok(Written::Yes)
    }

    fn outcome(
        &self,
        run: &mut Run,
        kind: EffectKind,
        step: &Step,
        done: Result<Value, Undone>,
    ) -> Result<(), FlowError> {
        match done {
            Ok(value) => run.done(&step.id, kind, value),
            Err(Undone::Failed(failed)) => run.failed(&step.id, failed, self.clock.now()),
            Err(Undone::Away(error)) => return Err(error),
        }
        Ok(())
    }
}

/// What a step's effect is known by wherever it goes.
fn key(run: &Run, step: &Step) -> String {
    flow::idempotency_key(&run.id, &step.id, run.item(&step.id))
}

fn text(run: &Run, step: &Step, effect: &Effect, key: &str) -> Result<Option<String>, Undone> {
    said_text(run, step, effect, key).map_err(Undone::wrong)
}

fn required(run: &Run, step: &Step, effect: &Effect, key: &str) -> Result<String, Undone> {
    let text = text(run, step, effect, key)?.filter(|text| !text.is_empty());
    text.ok_or_else(|| Undone::wrong(format!("`{key}` is empty")))
}
