//! Which entries start which behaviours' flows, and which let waiting ones go on.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, RwLock},
};

use fedsx_kernel::{
    definition::{Action, Awaited, BehaviourRecord, Definition, Kind},
    predicate::{Binding, MAX_BOUND, Program, Verdict},
    stream::Stream,
};
use serde_json::Value;

use crate::{
    entry::Entry,
    source::Interest,
    store::flows::{AwaitedKey, AwaitedStep, KeptBehaviour},
};

/// What is listened to. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Verbs(Arc<RwLock<HashSet<String>>>);

impl Verbs {
    /// Listens to all that a behaviour names. True where something of it is new.
    pub(super) fn listen(&self, record: &BehaviourRecord) -> bool {
        let awaited = awaited(record).flat_map(|(_, awaited)| &awaited.verbs);
        let verbs = record.trigger().verbs.iter().chain(awaited);
        let Ok(mut known) = self.0.write() else {
            return false;
        };
        let before = known.len();
        known.extend(verbs.cloned());
        known.len() > before
    }

    pub(super) fn interest(&self) -> Interest {
        let verbs = self.clone();
        Interest::new(move |stream, verb| match stream {
            Stream::Flow(_) => true,
            Stream::Domain => false,
            Stream::Outbox(_) if verb == Kind::Behaviour.verb() => true,
            Stream::Outbox(_) | Stream::Inbox(_) => verbs.0.read().is_ok_and(|verbs| verbs.contains(verb)),
        })
    }
}

/// The behaviours as they took effect, one after the other.
#[derive(Debug, Default)]
pub(super) struct InEffect {
    /// Since a position, by name.
    since: BTreeMap<String, Vec<(u64, Arc<BehaviourRecord>)>>,
}

impl InEffect {
    pub(super) fn add(&mut self, position: u64, record: Arc<BehaviourRecord>) {
        let since = self.since.entry(record.name().to_owned()).or_default();
        let place = since.partition_point(|(known, _)| *known < position);
        if since.get(place).is_none_or(|(known, _)| *known != position) {
            since.insert(place, (position, record));
        }
    }

    /// Those that an entry at this position is judged by.
    pub(super) fn at(&self, position: u64) -> impl Iterator<Item = &Arc<BehaviourRecord>> {
        self.since.values().filter_map(move |since| {
            let place = since.partition_point(|(known, _)| *known < position);
            let (_, record) = since.get(place.checked_sub(1)?)?;
            Some(record)
        })
    }

    /// Those that are in effect after all.
    pub(super) fn now(&self) -> impl Iterator<Item = (u64, &Arc<BehaviourRecord>)> {
        let last = self.since.values().filter_map(|since| since.last());
        last.map(|(position, record)| (*position, record))
    }

    /// Every one that there ever was.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<BehaviourRecord>> {
        self.since.values().flatten().map(|(_, record)| record)
    }
}

/// The behaviour that takes effect with an entry.
pub(super) fn defined(entry: &Entry) -> Option<KeptBehaviour> {
    let defines = entry.about.get("defines").is_some_and(Value::is_string);
    let ours = matches!(entry.stream, Stream::Outbox(_));
    if !defines || !ours || entry.activity.verb() != Kind::Behaviour.verb() {
        return None;
    }
    let record = entry.activity.document().get("object")?.as_object()?;
    let Definition::Behaviour(record) = Definition::read(Kind::Behaviour, record).ok()? else {
        return None;
    };
    Some(KeptBehaviour {
        position: entry.position,
        cid: record.cid().to_string(),
        name: record.name().to_owned(),
        record: record.canonical().to_vec(),
    })
}

/// Whether an entry starts a flow of a behaviour. Where `when` has no value, the entry does not concern it: what strangers send
/// may be of any shape.
pub(super) fn starts(record: &BehaviourRecord, entry: &Entry) -> bool {
    let trigger = record.trigger();
    let named = trigger.verbs.iter().any(|verb| verb == entry.activity.verb());
    !record.steps().is_empty()
        && named
        && entry.is_about(&trigger.types)
        && holds(trigger.when.as_ref(), entry)
}

/// What the steps of a behaviour that wait for activities would be looked for by, were it for this entry.
pub(super) fn keys(record: &BehaviourRecord, entry: &Entry) -> Vec<AwaitedKey> {
    let verb = entry.activity.verb();
    let steps = awaited(record)
        .filter(|(_, awaited)| awaited.verbs.iter().any(|awaited| awaited == verb))
        .filter(|(_, awaited)| holds(awaited.when.as_ref(), entry));
    let keys = steps.filter_map(|(step, awaited)| {
        match awaited.key.evaluate(&of_entry(entry), MAX_BOUND).value.ok()? {
            Value::String(key) if !key.is_empty() => Some(AwaitedKey {
                step: AwaitedStep {
                    behaviour: record.cid().to_string(),
                    step: step.to_owned(),
                },
                key,
            }),
            _ => None,
        }
    });
    keys.collect()
}

/// Whether a step of a behaviour may wait for what this verb does.
pub(super) fn awaits(record: &BehaviourRecord, verb: &str) -> bool {
    awaited(record).any(|(_, awaited)| awaited.verbs.iter().any(|awaited| awaited == verb))
}

fn awaited(record: &BehaviourRecord) -> impl Iterator<Item = (&str, &Awaited)> {
    record.steps().iter().filter_map(|step| match &step.action {
        Action::Suspend(suspend) => Some((step.id.as_str(), suspend.activity.as_ref()?)),
        _ => None,
    })
}

fn holds(when: Option<&Program>, entry: &Entry) -> bool {
    when.is_none_or(|when| when.decide(&of_entry(entry), MAX_BOUND).verdict == Verdict::True)
}

fn of_entry(entry: &Entry) -> [Binding<'_>; 2] {
    [
        Binding::Object(entry.activity.document()),
        Binding::Json(&entry.about),
    ]
}
