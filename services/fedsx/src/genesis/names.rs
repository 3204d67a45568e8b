//! What behaviours and projections name that is declared elsewhere: verbs, types, views and actors. A name that nobody declares
//! is a slip: the step fails, or nothing ever happens.

use std::fmt;

use fedsx_kernel::definition::{
    Action, BehaviourRecord, Definition, Effect, EffectKind, Kind, Template, is_activitystreams,
};

use super::{
    Manifest, Record,
    problem::{Problem, Problems},
    record::Written,
};

/// What the log says itself: no verbs of anybody's, and projections fold them too.
const OF_THE_LOG: [&str; 4] = ["Grant", "Revoke", "Skip", "Transition"];

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Verb,
    /// Of this domain, or of ActivityStreams.
    Type,
    /// Of this domain.
    OwnType,
    View,
    Actor,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verb => "verb",
            Self::Type | Self::OwnType => "type",
            Self::View => "projection",
            Self::Actor => "actor",
        })
    }
}

impl Named {
    /// The kind of the records that declare it; of an actor none does.
    pub(crate) fn kind(self) -> Option<Kind> {
        match self {
            Self::Verb => Some(Kind::Verb),
            Self::Type | Self::OwnType => Some(Kind::Type),
            Self::View => Some(Kind::Projection),
            Self::Actor => None,
        }
    }
}

/// A name that neither a bundle nor what it stands on declares.
#[derive(Debug, Clone)]
pub(crate) struct Undeclared {
    pub(crate) what: Named,
    pub(crate) name: String,
    problem: Problem,
}

impl Undeclared {
    /// Where somebody else declares some of them: those that nobody does, as problems.
    ///
    /// # Errors
    /// [`Problems`], naming file, line and key.
    pub(super) fn refuse(all: &[Self], is_declared: impl Fn(&Self) -> bool) -> Result<(), Problems> {
        let mut problems = Problems::default();
        for name in all.iter().filter(|name| !is_declared(name)) {
            problems.push(name.problem.clone());
        }
        problems.or(())
    }
}

/// A name, and the key that it stands at.
struct Use {
    what: Named,
    name: String,
    key: String,
}

/// The names in a bundle's own files that its records and actors do not declare.
pub(super) fn undeclared(
    written: &[Written],
    records: &[Record],
    manifest: Option<&Manifest>,
) -> Vec<Undeclared> {
    let declares = |kind: Kind, name: &str| {
        records
            .iter()
            .any(|record| record.kind == kind && record.name == name)
            // What else is wrong in a file is told there.
            || written.iter().any(|file| file.kind == kind && file.name() == Some(name))
    };
    let actors = manifest.map(|manifest| &manifest.actors);
    let is_known = |found: &Use| match found.what {
        Named::Verb | Named::OwnType | Named::View => {
            found.what.kind().is_some_and(|kind| declares(kind, &found.name))
        }
        Named::Type => is_activitystreams(&found.name) || declares(Kind::Type, &found.name),
        Named::Actor => {
            actors.is_some_and(|all| all.is_empty() || all.iter().any(|actor| actor.name == found.name))
        }
    };
    let mut all = Vec::new();
    for file in written {
        for found in uses(file, records).into_iter().filter(|found| !is_known(found)) {
            let Use { what, name, key } = found;
            let shown: String = name.chars().take(64).collect();
            let text = format!("is {shown:?}, and no {what} of that name is declared");
            let problem = file.document.problem(&key, text);
            all.push(Undeclared { what, name, problem });
        }
    }
    all
}

/// What a file names, where it is a sound behaviour or projection.
fn uses(file: &Written, records: &[Record]) -> Vec<Use> {
    let own = records.iter().find(|record| {
        record.is_own && record.kind == file.kind && Some(record.name.as_str()) == file.name()
    });
    let definition = own.and_then(|record| Definition::read(record.kind, &record.document).ok());
    let mut found = Vec::new();
    match definition {
        Some(Definition::Behaviour(behaviour)) => {
            let trigger = behaviour.trigger();
            texts(&mut found, Named::Verb, "on.verbs", &trigger.verbs);
            texts(&mut found, Named::Type, "on.types", &trigger.types);
            steps(&mut found, &behaviour);
        }
        Some(Definition::Projection(_)) => {
            let on = |key: &str| -> Vec<String> {
                let names = file.record.get("on").and_then(|on| on.get(key)?.as_array());
                let names = names.into_iter().flatten();
                names
                    .filter_map(|name| name.as_str().map(str::to_owned))
                    .collect()
            };
            texts(&mut found, Named::Verb, "on.verbs", &on("verbs"));
            texts(&mut found, Named::Type, "on.types", &on("types"));
            found.retain(|found| found.what != Named::Verb || !OF_THE_LOG.contains(&found.name.as_str()));
        }
        _ => {}
    }
    found
}

fn texts(found: &mut Vec<Use>, what: Named, key: &str, names: &[String]) {
    let names = names.iter().enumerate();
    found.extend(names.map(|(place, name)| Use {
        what,
        name: name.clone(),
        key: format!("{key}[{place}]"),
    }));
}

fn steps(found: &mut Vec<Use>, behaviour: &BehaviourRecord) {
    for (place, step) in behaviour.steps().iter().enumerate() {
        let path = format!("steps[{place}]");
        match &step.action {
            Action::Effect(said) | Action::Each(_, said) => effect(found, &format!("{path}.with"), said),
            Action::Suspend(suspend) => {
                if let Some(awaited) = &suspend.activity {
                    let key = format!("{path}.suspend.activity.verbs");
                    texts(found, Named::Verb, &key, &awaited.verbs);
                }
            }
            Action::Branch(_) => {}
        }
    }
}

fn effect(found: &mut Vec<Use>, path: &str, effect: &Effect) {
    let named = |what, key: &str| {
        let name = effect.with(key)?.literal_text()?;
        // By an id, or by nothing, it is somebody else or the base.
        let is_name = what != Named::Actor || !(name.is_empty() || name.contains("://"));
        is_name.then(|| Use {
            what,
            name: name.to_owned(),
            key: format!("{path}.{key}"),
        })
    };
    match effect.kind {
        EffectKind::Emit => {
            found.extend(named(Named::Actor, "actor"));
            if let Some(activity) = effect.with("activity") {
                emitted(found, &format!("{path}.activity"), activity);
            }
        }
        EffectKind::Webhook => found.extend(named(Named::Actor, "actor")),
        EffectKind::Notify => found.extend(named(Named::Actor, "to")),
        EffectKind::Validate => found.extend(named(Named::OwnType, "type")),
        EffectKind::Query => found.extend(named(Named::View, "view")),
        EffectKind::Put | EffectKind::Mail => {}
    }
}

/// The verb of an activity that is published, and the types of its object.
fn emitted(found: &mut Vec<Use>, path: &str, activity: &Template) {
    let verb = activity.member("type");
    // An activity may have several types; the first is the verb.
    found.extend(
        types(Named::Verb, &format!("{path}.type"), verb)
            .into_iter()
            .take(1),
    );
    let defines = verb.and_then(Template::literal_text).and_then(Kind::of_verb);
    if let Some(object) = activity.member("object")
        && defines.is_none()
        && object.member("typeCid").is_none()
    {
        found.extend(types(
            Named::Type,
            &format!("{path}.object.type"),
            object.member("type"),
        ));
    }
}

/// The name, or the names, that are said as they are.
fn types(what: Named, key: &str, said: Option<&Template>) -> Vec<Use> {
    let one = |key: String, said: &Template| {
        let name = said.literal_text()?.to_owned();
        Some(Use { what, name, key })
    };
    match said {
        Some(Template::List(all)) => {
            let all = all.iter().enumerate();
            all.filter_map(|(place, said)| one(format!("{key}[{place}]"), said))
                .collect()
        }
        Some(said) => one(key.to_owned(), said).into_iter().collect(),
        None => Vec::new(),
    }
}
