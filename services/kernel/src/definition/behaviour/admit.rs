//! What a new behaviour may not say, since it could never come true. One that is there already is read whatever it says of
//! this: its flows tell.

use serde_json::{Map, Value};

use super::{
    super::{format::Format, read::DefinitionError},
    Action, BehaviourRecord, Effect, EffectKind, MAX_ROWS, OF_FLOWS, Step, Suspend, Template, Timer,
    effect::is_hook,
};
use crate::predicate::Program;

/// Admits a behaviour, which was read from this record.
///
/// # Errors
/// [`DefinitionError`], naming the key.
pub(in crate::definition) fn admit(
    behaviour: &BehaviourRecord,
    record: &Map<String, Value>,
) -> Result<(), DefinitionError> {
    if let Some(when) = &behaviour.trigger.when {
        predicate("when".to_owned(), when)?;
    }
    for (place, step) in behaviour.steps.iter().enumerate() {
        let path = format!("steps[{place}]");
        let before = before(&behaviour.steps, step);
        for (key, program) in expressions(&path, step) {
            let named = OF_FLOWS.iter().position(|name| *name == "steps");
            let named = named
                .map(|variable| program.members_of(variable))
                .unwrap_or_default();
            if let Some(unknown) = named.into_iter().find(|id| !before.contains(id)) {
                return Err(not_before(key, unknown, behaviour));
            }
        }
        match &step.action {
            Action::Effect(effect) | Action::Each(_, effect) => effect_of(&path, effect)?,
            Action::Branch(cases) => {
                let cases = cases.iter().enumerate();
                let mut asked = cases.filter_map(|(place, case)| Some((place, case.when.as_ref()?)));
                asked
                    .try_for_each(|(place, when)| predicate(format!("{path}.branch[{place}].when"), when))?;
            }
            Action::Suspend(suspend) => {
                let timer = at(record, place).and_then(|step| step.get("suspend")?.get("timer")?.as_str());
                suspend_of(&format!("{path}.suspend"), suspend, timer)?;
            }
        }
    }
    Ok(())
}

/// A step as it is written.
fn at(record: &Map<String, Value>, place: usize) -> Option<&Value> {
    record.get("steps")?.get(place)
}

fn predicate(key: String, program: &Program) -> Result<(), DefinitionError> {
    match program.may_be_boolean() {
        true => Ok(()),
        false => Err(DefinitionError::new(
            key,
            "is neither true nor false, whatever it is asked of",
        )),
    }
}

/// The ids of the steps that are done with before a step, whichever way leads there.
fn before<'b>(steps: &'b [Step], step: &'b Step) -> Vec<&'b str> {
    let mut reached = vec![false; steps.len()];
    let mut next: Vec<usize> = step.after.iter().map(|edge| edge.step).collect();
    let mut ids = Vec::new();
    while let Some(place) = next.pop() {
        let (Some(seen), Some(found)) = (reached.get_mut(place), steps.get(place)) else {
            continue;
        };
        if !std::mem::replace(seen, true) {
            ids.push(found.id.as_str());
            next.extend(found.after.iter().map(|edge| edge.step));
        }
    }
    ids
}

fn not_before(key: String, id: &str, behaviour: &BehaviourRecord) -> DefinitionError {
    let shown: String = id.chars().take(64).collect();
    let problem = match behaviour.step(id) {
        Some(_) => format!("names `steps.{shown}`, which is not sure to be done by then"),
        None => format!("names `steps.{shown}`, and there is no such step"),
    };
    DefinitionError::new(key, problem)
}

/// A step's expressions of [`OF_FLOWS`], by their keys.
fn expressions<'s>(path: &str, step: &'s Step) -> Vec<(String, &'s Program)> {
    let mut found = Vec::new();
    match &step.action {
        Action::Effect(_) => {}
        Action::Each(over, _) => found.push((format!("{path}.each"), over)),
        Action::Branch(cases) => {
            let cases = cases.iter().enumerate();
            let asked = cases.filter_map(|(place, case)| Some((place, case.when.as_ref()?)));
            found.extend(asked.map(|(place, when)| (format!("{path}.branch[{place}].when"), when)));
        }
        Action::Suspend(suspend) => {
            if let Some(awaited) = &suspend.activity {
                found.push((format!("{path}.suspend.activity.equals"), &awaited.equals));
            }
            if let Some(Timer::At(moment)) = &suspend.timer {
                found.push((format!("{path}.suspend.timer"), moment));
            }
        }
    }
    for (key, template) in step.effect().into_iter().flat_map(Effect::all_with) {
        template.expressions(format!("{path}.with.{key}"), &mut found);
    }
    found
}

/// What is said for an effect without an expression, by what the effect takes.
fn effect_of(path: &str, effect: &Effect) -> Result<(), DefinitionError> {
    let wrong = |key: &str, problem: String| Err(DefinitionError::new(format!("{path}.with.{key}"), problem));
    let text = |key: &str| effect.with(key).and_then(Template::literal_text);
    match effect.kind {
        EffectKind::Emit => match effect.with("activity") {
            Some(Template::Literal(_) | Template::List(_)) => wrong("activity", "is no object".to_owned()),
            Some(activity @ Template::Object(_)) if activity.member("type").is_none() => {
                wrong("activity.type", "is missing".to_owned())
            }
            _ => Ok(()),
        },
        EffectKind::Query if effect.with("key").is_some() && effect.with("prefix").is_some() => {
            wrong("prefix", "does not go with `key`".to_owned())
        }
        EffectKind::Query => match effect.with("limit") {
            Some(Template::Literal(limit))
                if !limit
                    .as_u64()
                    .is_some_and(|limit| (1..=u64::from(MAX_ROWS)).contains(&limit)) =>
            {
                wrong("limit", format!("is none of 1 to {MAX_ROWS}"))
            }
            Some(Template::List(_) | Template::Object(_)) => {
                wrong("limit", format!("is none of 1 to {MAX_ROWS}"))
            }
            _ => Ok(()),
        },
        EffectKind::Webhook if text("url").is_some_and(|url| !is_hook(url)) => {
            wrong("url", "is no URL of a web server".to_owned())
        }
        EffectKind::Mail if text("to").is_some_and(|to| !is_mailbox(to)) => wrong(
            "to",
            "is no mailbox: `bob@example.org` or `Bob <bob@example.org>`".to_owned(),
        ),
        _ => Ok(()),
    }
}

fn is_mailbox(text: &str) -> bool {
    let text = text.trim();
    let address = text.strip_suffix('>').and_then(|text| text.rsplit_once('<'));
    Format::Email.fits(address.map_or(text, |(_, address)| address))
}

fn suspend_of(path: &str, suspend: &Suspend, timer: Option<&str>) -> Result<(), DefinitionError> {
    if let Some(when) = suspend
        .activity
        .as_ref()
        .and_then(|awaited| awaited.when.as_ref())
    {
        predicate(format!("{path}.activity.when"), when)?;
    }
    match (&suspend.timer, timer) {
        // `3s` and `1 week` can be read too, and are no durations of ISO 8601.
        (Some(Timer::After(_)), Some(text)) if !text.starts_with('P') => {
            let problem = "is no duration of ISO 8601 (`PT30M`, `P7D`), and no expression (`=…`)";
            Err(DefinitionError::new(format!("{path}.timer"), problem))
        }
        _ => Ok(()),
    }
}
