//! Effects that need nothing from outside.

use fedsx_kernel::definition::{Effect, EffectKind, Step};
use serde_json::{Value, json};

use super::{actor, said_text};
use crate::{
    flows::{
        Engine,
        run::{NotDone, Run},
    },
    views::is_local_actor,
};

/// Most characters of a notification; what is longer is cut. As many fit a row of the view `notifications`.
const MAX_NOTIFICATION: usize = 4000;

/// Whether an effect needs nothing from outside.
pub(in crate::flows) const fn is_at_once(kind: EffectKind) -> bool {
    matches!(kind, EffectKind::Validate | EffectKind::Notify)
}

/// The value of an effect that needs nothing from outside.
pub(in crate::flows) fn at_once(
    engine: &Engine,
    run: &Run,
    step: &Step,
    effect: &Effect,
) -> Result<Value, NotDone> {
    match effect.kind {
        EffectKind::Validate => validate(engine, run, step, effect),
        EffectKind::Notify => notify(engine, run, step, effect).map_err(NotDone::wrong),
        kind => Err(NotDone::wrong(format!("{} is done outside", kind.as_str()))),
    }
}

fn validate(engine: &Engine, run: &Run, step: &Step, effect: &Effect) -> Result<Value, NotDone> {
    let around = run.around(&step.id);
    let name = said_text(run, step, effect, "type")
        .map_err(NotDone::wrong)?
        .unwrap_or_default();
    let object = around
        .said(effect, "object")
        .map_err(|error| NotDone::wrong(error.to_string()))?;
    let object = object.or_else(|| run.trigger.activity.document().get("object").cloned());
    let checked = engine.types.check(&name, &object.unwrap_or_default());
    // It may be on its way here.
    checked.ok_or_else(|| NotDone {
        cause: format!("no type {name} is defined here"),
        passes: true,
    })
}

fn notify(engine: &Engine, run: &Run, step: &Step, effect: &Effect) -> Result<Value, String> {
    let to = said_text(run, step, effect, "to")?;
    let about = said_text(run, step, effect, "about")?;
    let text = said_text(run, step, effect, "text")?.unwrap_or_default();
    let to = actor(engine, to.as_deref());
    if !is_local_actor(&engine.source.origin, &to) {
        return Err(format!("`to` is no actor of this domain: {to}"));
    }
    Ok(json!({
        "to": to,
        "text": text.chars().take(MAX_NOTIFICATION).collect::<String>(),
        "about": about.as_deref().or(run.trigger.activity.object_id()),
    }))
}
