//! Requests whose drafts and activities were checked by a registry that has moved since.

use std::{borrow::Cow, collections::BTreeMap};

use fedsx_kernel::{activity::Activity, origin::Origin};
use fedsx_runtime::code::Refusal;

use super::request::{Append, Publish, Request};
use crate::{
    refusal,
    registry::{
        Registry,
        checked::{Checked, completed, speaker},
        stages::Speaker,
        unique,
    },
};

/// The requests as the registry stands under the head's lock, and those that it refuses.
#[must_use]
pub fn rechecked<'r>(
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
