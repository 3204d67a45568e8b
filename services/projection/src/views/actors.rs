//! `actors`: the domain's own actors. Key: the actor's id.

use fedsx_kernel::{actor::ActorDocument, origin::Origin, stream::Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{FoldError, Touched, View, embedded, is_local_actor, local_speaker, write};
use crate::entry::Entry;

pub(crate) const NAME: &str = "actors";

/// A row of `actors`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ActorRow {
    /// The whole actor document, as it is served.
    pub(crate) document: Map<String, Value>,
    /// The name within the domain, `alice`; none: the base.
    pub(crate) name: Option<String>,
    /// Person, Service or Group.
    pub(crate) kind: String,
    /// A person answers its Follows.
    pub(crate) manual: bool,
}

#[derive(Debug)]
pub(super) struct Actors {
    origin: Origin,
}

impl Actors {
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin }
    }

    /// The row of a sound document; none where it is not this actor's, or not one that peers could use.
    fn row(&self, id: &str, document: &Map<String, Value>) -> Result<Option<Value>, FoldError> {
        let Ok(actor) = ActorDocument::parse(document) else {
            return Ok(None);
        };
        let sound = actor.id == id && matches!(actor.kind.as_str(), "Person" | "Service" | "Group");
        if !sound {
            return Ok(None);
        }
        write(&ActorRow {
            document: document.clone(),
            name: self.origin.actor_name(id).map(str::to_owned),
            kind: actor.kind,
            manual: actor.manual_approval,
        })
    }
}

impl View for Actors {
    fn listens(&self, stream: &Stream, verb: &str) -> bool {
        matches!((stream, verb), (Stream::Outbox(_), "Create" | "Update"))
    }

    /// An actor comes to be by the base alone, and is changed by the base or by itself.
    fn touches(&self, entry: &Entry) -> Touched {
        let (Some(speaker), Some((id, _))) = (local_speaker(entry), embedded(&entry.activity)) else {
            return Touched::Nothing;
        };
        let base = speaker == self.origin.base();
        let may = match entry.activity.verb() {
            "Create" => base,
            "Update" => base || speaker == id,
            _ => false,
        };
        if may && is_local_actor(&self.origin, id) {
            Touched::key(id)
        } else {
            Touched::Nothing
        }
    }

    fn fold(&self, key: &str, state: Option<&Value>, entry: &Entry) -> Result<Option<Value>, FoldError> {
        let creates = entry.activity.verb() == "Create";
        let after = match embedded(&entry.activity) {
            Some((_, document)) if creates == state.is_none() => self.row(key, document)?,
            _ => None,
        };
        Ok(after.or_else(|| state.cloned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{BASE, BOB, Story, person};

    const ALICE: &str = "https://blog.example/actors/alice";

    fn view() -> Actors {
        Actors::new("https://blog.example".parse().unwrap())
    }

    fn created() -> Story {
        let mut story = Story::default();
        story.published(BASE, json!({"type": "Create", "object": person("alice", false)}));
        story
    }

    #[test]
    fn the_base_creates_itself_and_others() {
        let mut story = created();
        let mut service = person("", true);
        service["id"] = BASE.into();
        service["type"] = "Service".into();
        story.published(BASE, json!({"type": "Create", "object": service}));
        let rows = story.rows(&view());
        assert_eq!(
            rows[ALICE],
            json!({"document": person("alice", false), "name": "alice", "kind": "Person", "manual": false})
        );
        let base = &rows[BASE];
        assert_eq!(
            (&base["name"], &base["kind"], &base["manual"]),
            (&Value::Null, &json!("Service"), &json!(true))
        );
    }

    #[test]
    fn nobody_else_creates_an_actor() {
        let mut story = Story::default();
        story.published(ALICE, json!({"type": "Create", "object": person("alice", false)}));
        story.received(BOB, json!({"type": "Create", "object": person("alice", false)}));
        assert!(story.rows(&view()).is_empty());
    }

    #[test]
    fn an_actor_is_changed_by_itself_and_by_the_base() {
        for speaker in [ALICE, BASE] {
            let mut story = created();
            story.published(
                speaker,
                json!({"type": "Update", "object": person("alice", true)}),
            );
            assert_eq!(story.rows(&view())[ALICE]["manual"], true, "{speaker}");
        }
    }

    #[test]
    fn others_and_unsound_documents_change_nothing() {
        let mut story = created();
        let before = story.rows(&view());
        let carol = "https://blog.example/actors/carol";
        story.published(carol, json!({"type": "Update", "object": person("alice", true)}));
        story.published(BASE, json!({"type": "Create", "object": person("alice", true)}));
        story.published(
            ALICE,
            json!({"type": "Update", "object": {"id": ALICE, "type": "Person"}}),
        );
        let mut elsewhere = person("alice", true);
        elsewhere["inbox"] = "https://events.example/inbox".into();
        story.published(ALICE, json!({"type": "Update", "object": elsewhere}));
        let mut note = person("alice", true);
        note["type"] = "Note".into();
        story.published(ALICE, json!({"type": "Update", "object": note}));
        assert_eq!(story.rows(&view()), before);
    }
}
