//! An entry of the log as folds see it: parsed once for all views, with what it refers to beside it.

use fedsx_kernel::{
    activity::{Activity, ActivityError, types_of},
    cid::Cid,
    definition::{DEFINES, Definition, Kind, objects},
    follow::{self, Inboxes},
    origin::Origin,
    stream::Stream,
};
use fedsx_proto::v1;
use jiff::Timestamp;
use serde_json::{Value, json};

mod verb;

pub(crate) use verb::verb;

/// What a fold gets of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) stream: Stream,
    /// Its place there.
    pub(crate) version: u64,
    /// When it was appended, by the log's clock.
    pub(crate) at: Timestamp,
    pub(crate) activity: Activity,
    /// What views that are data see of it beside the activity: [`OF_ENTRIES`](fedsx_kernel::definition::OF_ENTRIES).
    pub(crate) about: Value,
    /// What it says about who follows whom.
    pub(crate) event: Option<follow::Event>,
    /// The trace that it belongs to; empty: none.
    pub(crate) traceparent: String,
}

/// What the log holds at a position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) position: u64,
    pub(crate) content: Result<Entry, Unreadable>,
}

/// An entry that no fold can read. The log admits none, so this is damage, or an entry of a later version.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("its body is no activity: {0}")]
    Body(#[from] ActivityError),
    #[error("it names the CID {0}, its body is {1}")]
    Cid(String, Cid),
    #[error("{0:?} is no stream")]
    Stream(String),
    #[error("{0} µs is no time")]
    Time(i64),
}

/// An entry that is parsed, and whose reference, if any, has not been looked up.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    entry: Entry,
    meta: v1::Meta,
}

impl Parsed {
    /// # Errors
    /// [`Unreadable`]
    pub(crate) fn parse(entry: v1::Entry) -> Result<Self, Unreadable> {
        let activity = Activity::parse(&entry.body)?;
        if activity.cid().as_str() != entry.cid {
            return Err(Unreadable::Cid(entry.cid, activity.cid().clone()));
        }
        let meta = entry.meta.unwrap_or_default();
        let stream = Stream::parse(&entry.stream).ok_or(Unreadable::Stream(entry.stream))?;
        let at = Timestamp::from_microsecond(entry.appended_at_us)
            .map_err(|_| Unreadable::Time(entry.appended_at_us))?;
        let defines = meta.remarks.iter().any(|remark| remark == DEFINES);
        Ok(Self {
            entry: Entry {
                position: entry.position,
                about: about(entry.position, &stream, at, &activity, defines),
                stream,
                version: entry.version,
                at,
                activity,
                event: None,
                traceparent: meta.traceparent.clone(),
            },
            meta,
        })
    }

    pub(crate) fn position(&self) -> u64 {
        self.entry.position
    }

    /// The id of the activity to look up before the entry can be folded.
    pub(crate) fn reference(&self) -> Option<&str> {
        follow::reference(&self.entry.activity)
    }

    /// The entry, with the activity that it refers to where the log has it before this one.
    pub(crate) fn resolve(self, referred: Option<&Activity>) -> Entry {
        let inboxes = Inboxes::new(&self.meta.inbox, &self.meta.shared_inbox);
        let Entry { activity, stream, .. } = &self.entry;
        Entry {
            event: follow::event(activity, stream, inboxes, referred),
            ..self.entry
        }
    }
}

impl Entry {
    /// Whether an object of the activity has one of these types; none: every activity is meant.
    pub(crate) fn is_about(&self, types: &[String]) -> bool {
        let has_one = |object: &Value| {
            let object = object.as_object();
            object.is_some_and(|object| types_of(object).any(|name| types.iter().any(|known| known == name)))
        };
        types.is_empty() || objects(self.activity.document()).iter().any(has_one)
    }
}

fn about(position: u64, stream: &Stream, at: Timestamp, activity: &Activity, defines: bool) -> Value {
    let stream = match stream {
        Stream::Outbox(_) => "outbox",
        Stream::Inbox(_) => "inbox",
        Stream::Flow(_) => "flow",
        Stream::Domain => "domain",
    };
    let of = |id: &str| Origin::of(id).is_ok_and(|origin| origin == *activity.origin());
    json!({
        "position": position,
        "cid": activity.cid().as_str(),
        "stream": stream,
        "at": at.to_string(),
        "public": activity.is_public(),
        "actor": activity.actor(),
        "object": activity.object_id(),
        "owns": activity.object_id().is_some_and(of),
        "defines": defines.then(|| defined(activity)).flatten(),
    })
}

/// The CID of the record that an activity defines.
fn defined(activity: &Activity) -> Option<String> {
    let kind = Kind::of_verb(activity.verb())?;
    let record = activity.document().get("object")?.as_object()?;
    Some(Definition::read(kind, record).ok()?.cid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ALICE, complete, entry, note};

    #[test]
    fn an_actor_is_its_id_however_it_is_said() {
        for actor in [json!(ALICE), json!({"id": ALICE, "name": "x".repeat(70_000)})] {
            let said = json!({"type": "Join", "actor": actor, "object": "https://blog.example/objects/gig"});
            let entry = entry(1, &format!("outbox/{ALICE}"), &complete(ALICE, said));
            let parsed = Parsed::parse(entry).unwrap();
            assert_eq!(parsed.entry.about["actor"], ALICE);
        }
    }

    #[test]
    fn what_the_log_would_not_admit_is_unreadable_and_says_why() {
        let sound = entry(1, "outbox/https://blog.example/actors/alice", &note());
        assert!(Parsed::parse(sound.clone()).is_ok());
        type Damage = fn(&mut v1::Entry);
        let cases: [(Damage, &str); 4] = [
            (|entry| entry.body = b"{}".as_slice().into(), "is no activity"),
            (|entry| entry.cid = "bafy".to_owned(), "names the CID bafy"),
            (|entry| entry.stream = "attic".to_owned(), "is no stream"),
            (|entry| entry.appended_at_us = i64::MAX, "is no time"),
        ];
        for (damage, why) in cases {
            let mut damaged = sound.clone();
            damage(&mut damaged);
            let error = Parsed::parse(damaged).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
