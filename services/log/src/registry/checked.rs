//! What the schema stages said of an activity, and by which registry.

use std::{borrow::Cow, collections::BTreeMap, collections::HashMap, sync::Arc};

use fedsx_kernel::{
    activity::{Activity, types_of},
    cid::Cid,
    definition::TypeRecord,
    draft::Draft,
    origin::Origin,
};
use fedsx_runtime::code::Refusal;
use serde_json::{Map, Value};

use super::{
    Registry,
    check::{Passed, Speaker, Stages},
    row,
    row::Said,
    unique,
};
use crate::{
    plan::{Append, Publish, Request},
    refusal,
};

/// What the stages said, to be asked again where the registry has moved since. The default is of what no stage is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The registry's position; none: there is nothing to check.
    pub at: Option<u64>,
    pub passed: Result<Passed, Refusal>,
    /// Peers' types that were here.
    pub fetched: Arc<HashMap<Cid, Arc<TypeRecord>>>,
    /// Whether an object whose type cannot be resolved is refused.
    pub strict: bool,
}

impl Default for Checked {
    fn default() -> Self {
        Self {
            at: None,
            passed: Ok(Passed::default()),
            fetched: Arc::default(),
            strict: false,
        }
    }
}

impl Checked {
    /// What an operator has decided about who defines.
    #[must_use]
    pub fn decided(origin: &Origin, document: &Map<String, Value>) -> Self {
        let passed = grant(origin, document).map(|said| Passed {
            defines: said.as_ref().map(row::write),
            ..Passed::default()
        });
        Self {
            passed,
            ..Self::default()
        }
    }

    fn is_current(&self, registry: &Registry) -> bool {
        self.at.is_none_or(|at| at == registry.position())
    }

    /// The stages by a registry.
    #[must_use]
    pub fn stages<'a>(&'a self, registry: &'a Registry) -> Stages<'a> {
        Stages {
            registry,
            fetched: &self.fetched,
            strict: self.strict,
        }
    }

    /// What the stages say of a document by a registry.
    #[must_use]
    pub fn again(&self, registry: &Registry, document: &Map<String, Value>, speaker: Speaker<'_>) -> Self {
        Self {
            at: Some(registry.position()),
            passed: self.stages(registry).check(document, speaker),
            fetched: Arc::clone(&self.fetched),
            strict: self.strict,
        }
    }
}

/// A draft with what the stages have completed.
///
/// # Errors
/// The stages' refusal, or the draft's: completed, it is no sound draft any more.
pub fn completed(given: &Arc<Draft>, checked: &Checked) -> Result<Arc<Draft>, Refusal> {
    match checked.passed.as_ref().map_err(Clone::clone)?.object.clone() {
        None => Ok(Arc::clone(given)),
        Some(object) => {
            let draft = Draft::clone(given).with_object(object).map_err(refusal::draft)?;
            Ok(Arc::new(draft))
        }
    }
}

/// The requests as the registry stands under the head's lock, and those that it refuses.
#[must_use]
pub fn requests<'r>(
    requests: &'r [Request],
    origin: &Origin,
    registry: &Registry,
) -> (Cow<'r, [Request]>, BTreeMap<usize, Refusal>) {
    let mut requests = Cow::Borrowed(requests);
    let mut refused = BTreeMap::new();
    for index in 0..requests.len() {
        let Some(request) = requests.get(index) else {
            continue;
        };
        if let Some(again) = again(request, origin, registry)
            && let Some(request) = requests.to_mut().get_mut(index)
        {
            *request = again;
        }
        if let Some(refusal) = requests.get(index).and_then(refusal_of) {
            refused.insert(index, refusal);
        }
    }
    (requests, refused)
}

fn refusal_of(request: &Request) -> Option<Refusal> {
    match request {
        Request::Append(append) => append
            .entries
            .iter()
            .find_map(|entry| entry.checked.passed.as_ref().err().cloned()),
        Request::Publish(publish) => publish.checked.passed.as_ref().err().cloned(),
        Request::Change(_) => None,
    }
}

/// The request checked again; none where what was said of it still holds.
fn again(request: &Request, origin: &Origin, registry: &Registry) -> Option<Request> {
    match request {
        Request::Append(append) => append
            .entries
            .iter()
            .any(|entry| !entry.checked.is_current(registry))
            .then(|| Request::Append(append_again(append, registry))),
        Request::Publish(publish) => (!publish.checked.is_current(registry))
            .then(|| Request::Publish(Box::new(publish_again(publish, origin, registry)))),
        Request::Change(_) => None,
    }
}

fn append_again(append: &Append, registry: &Registry) -> Append {
    let mut append = append.clone();
    for entry in &mut append.entries {
        if !entry.checked.is_current(registry) {
            entry.checked = match Activity::parse(&entry.activity.body) {
                Ok(activity) => entry
                    .checked
                    .again(registry, activity.document(), Speaker::Remote),
                Err(error) => Checked {
                    passed: Err(refusal::activity(error)),
                    ..Checked::default()
                },
            };
        }
    }
    append
}

/// A draft with what the stages say of it by a registry.
#[must_use]
pub fn publish_again(publish: &Publish, origin: &Origin, registry: &Registry) -> Publish {
    let mut publish = publish.clone();
    if unique::asked(registry, publish.given.document()) != publish.asked {
        // Whoever publishes it derives and claims anew: what the schema says of it so is of no interest.
        publish.is_outdated = true;
        publish.checked = Checked::default();
        return publish;
    }
    let speaker = speaker(origin, &publish.actor);
    publish.checked = publish.checked.again(registry, publish.given.document(), speaker);
    match completed(&publish.given, &publish.checked) {
        Ok(draft) => publish.draft = draft,
        Err(refusal) => publish.checked.passed = Err(refusal),
    }
    publish
}

/// The grant that an activity in the stream `domain` gives or takes back: `Grant` or `Revoke` of an actor, with `grant`
/// `define`.
fn grant(origin: &Origin, document: &Map<String, Value>) -> Result<Option<Said>, Refusal> {
    let defines = match types_of(document).next() {
        Some("Grant") => true,
        Some("Revoke") => false,
        _ => return Ok(None),
    };
    if document.get("grant").and_then(Value::as_str) != Some("define") {
        return Err(refusal::malformed(
            "`grant` is not `define`, and there is no other",
        ));
    }
    let actor = document.get("object").and_then(Value::as_str).unwrap_or_default();
    if origin.actor_name(actor).is_none() {
        return Err(refusal::malformed("`object` is no actor of this domain"));
    }
    let actor = actor.to_owned();
    Ok(Some(Said::Grant { actor, defines }))
}

/// As whom a local actor speaks.
#[must_use]
pub fn speaker<'a>(origin: &Origin, actor: &'a str) -> Speaker<'a> {
    if origin.is_base(actor) {
        Speaker::Base
    } else {
        Speaker::Local(actor)
    }
}
