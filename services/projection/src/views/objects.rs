//! `objects`: what our actors made and may change, by the object's id.

use fedsx_kernel::{origin::Origin, stream::Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{FoldError, Touched, View, embedded, is_local_actor, local_speaker, read, write};
use crate::entry::Entry;

/// A row of `objects`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ObjectRow {
    /// As it was last said; a Tombstone (ActivityStreams 2.0 Vocabulary, section 3.3) once it is deleted.
    object: Map<String, Value>,
    /// The id of the activity that said so.
    activity: String,
    /// Whether that activity addresses the public; a Tombstone is as public as what it stands for was.
    public: bool,
    deleted: bool,
    /// Who may change it: whom the object was attributed to when it was made, else who made it.
    owners: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Objects {
    origin: Origin,
}

impl Objects {
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin }
    }
}

impl View for Objects {
    fn listens(&self, stream: &Stream, verb: &str) -> bool {
        matches!(
            (stream, verb),
            (Stream::Outbox(_), "Create" | "Update" | "Delete")
        )
    }

    fn touches(&self, entry: &Entry) -> Touched {
        let object = match entry.activity.verb() {
            "Create" | "Update" => embedded(&entry.activity).map(|(id, _)| id),
            "Delete" => entry.activity.object_id(),
            _ => None,
        };
        match object {
            Some(id)
                if local_speaker(entry).is_some()
                    && self.origin.owns(id)
                    && !is_local_actor(&self.origin, id) =>
            {
                Touched::key(id)
            }
            _ => Touched::Nothing,
        }
    }

    fn fold(&self, key: &str, state: Option<&Value>, entry: &Entry) -> Result<Option<Value>, FoldError> {
        let before: Option<ObjectRow> = read(state)?;
        let speaker = entry.activity.actor();
        let after = match (entry.activity.verb(), before) {
            ("Create", None) => created(entry),
            ("Update", Some(row)) if row.may_change(speaker) => updated(row, entry),
            ("Delete", Some(row)) if row.may_change(speaker) => Some(deleted(row, key, entry)),
            _ => None,
        };
        match after {
            Some(row) => write(&row),
            None => Ok(state.cloned()),
        }
    }
}

impl ObjectRow {
    fn may_change(&self, actor: &str) -> bool {
        !self.deleted && self.owners.iter().any(|owner| owner == actor)
    }
}

/// None where it is attributed to others alone: nobody makes an object in another's name.
fn created(entry: &Entry) -> Option<ObjectRow> {
    let (_, object) = embedded(&entry.activity)?;
    let maker = entry.activity.actor();
    let mut owners = attributed_to(object);
    if owners.is_empty() {
        owners.push(maker.to_owned());
    }
    owners.iter().any(|owner| owner == maker).then(|| ObjectRow {
        object: object.clone(),
        activity: entry.activity.id().to_owned(),
        public: entry.activity.is_public(),
        deleted: false,
        owners,
    })
}

fn updated(row: ObjectRow, entry: &Entry) -> Option<ObjectRow> {
    let (_, object) = embedded(&entry.activity)?;
    Some(ObjectRow {
        object: object.clone(),
        activity: entry.activity.id().to_owned(),
        public: entry.activity.is_public(),
        ..row
    })
}

fn deleted(row: ObjectRow, id: &str, entry: &Entry) -> ObjectRow {
    let mut tombstone = Map::new();
    tombstone.insert("id".to_owned(), json!(id));
    tombstone.insert("type".to_owned(), json!("Tombstone"));
    tombstone.insert("deleted".to_owned(), json!(entry.at));
    if let Some(former) = row.object.get("type") {
        tombstone.insert("formerType".to_owned(), former.clone());
    }
    ObjectRow {
        object: tombstone,
        activity: entry.activity.id().to_owned(),
        deleted: true,
        ..row
    }
}

fn attributed_to(object: &Map<String, Value>) -> Vec<String> {
    let values = match object.get("attributedTo") {
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => &[],
    };
    let id = |value: &Value| match value {
        Value::Object(object) => object.get("id").and_then(Value::as_str).map(str::to_owned),
        value => value.as_str().map(str::to_owned),
    };
    values.iter().filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::activity::PUBLIC;

    use super::*;
    use crate::testing::{BASE, BOB, Story, person};

    const ALICE: &str = "https://blog.example/actors/alice";
    const CAROL: &str = "https://blog.example/actors/carol";
    const ID: &str = "https://blog.example/objects/gig-night";

    fn view() -> Objects {
        Objects::new("https://blog.example".parse().unwrap())
    }

    fn post(title: &str) -> Value {
        json!({"id": ID, "type": "Post", "name": title})
    }

    fn created() -> Story {
        let mut story = Story::default();
        story.published(
            ALICE,
            json!({"type": "Create", "object": post("Gig Night"), "to": [PUBLIC]}),
        );
        story
    }

    #[test]
    fn an_object_is_as_its_owner_said_last() {
        let mut story = created();
        let row = story.rows(&view()).remove(ID).unwrap();
        assert_eq!(
            (&row["object"], &row["public"], &row["deleted"]),
            (&post("Gig Night"), &json!(true), &json!(false))
        );
        let update = story.published(
            ALICE,
            json!({"type": "Update", "object": post("Cancelled"), "to": [BOB]}),
        );
        let row = story.rows(&view()).remove(ID).unwrap();
        assert_eq!(
            (&row["object"]["name"], &row["public"], &row["activity"]),
            (&json!("Cancelled"), &json!(false), &json!(update.id()))
        );
    }

    #[test]
    fn a_deleted_object_leaves_a_tombstone_that_stays() {
        let mut story = created();
        let delete = story.published(ALICE, json!({"type": "Delete", "object": ID}));
        let row = story.rows(&view()).remove(ID).unwrap();
        let deleted = story.time(delete.id()).to_string();
        assert_eq!(
            row["object"],
            json!({"id": ID, "type": "Tombstone", "formerType": "Post", "deleted": deleted})
        );
        assert_eq!((&row["public"], &row["deleted"]), (&json!(true), &json!(true)));
        story.published(ALICE, json!({"type": "Update", "object": post("Again")}));
        story.published(ALICE, json!({"type": "Create", "object": post("Again")}));
        assert_eq!(story.rows(&view()).remove(ID).unwrap(), row);
    }

    #[test]
    fn only_its_owner_changes_an_object() {
        let mut story = created();
        let before = story.rows(&view());
        for speaker in [CAROL, BASE] {
            story.published(speaker, json!({"type": "Update", "object": post("Mine")}));
            story.published(speaker, json!({"type": "Create", "object": post("Mine")}));
            story.published(speaker, json!({"type": "Delete", "object": ID}));
        }
        story.received(BOB, json!({"type": "Delete", "object": ID}));
        assert_eq!(story.rows(&view()), before);
    }

    #[test]
    fn everyone_it_is_attributed_to_owns_it() {
        let mut story = Story::default();
        let mut both = post("Gig Night");
        both["attributedTo"] = json!([ALICE, {"id": CAROL}]);
        story.published(ALICE, json!({"type": "Create", "object": both}));
        story.published(CAROL, json!({"type": "Update", "object": post("Cancelled")}));
        assert_eq!(story.rows(&view())[ID]["object"]["name"], "Cancelled");
    }

    #[test]
    fn nobody_makes_an_object_in_anothers_name_or_elsewhere() {
        let mut story = Story::default();
        let mut carols = post("Gig Night");
        carols["attributedTo"] = CAROL.into();
        story.published(ALICE, json!({"type": "Create", "object": carols}));
        let elsewhere = json!({"id": "https://events.example/objects/1", "type": "Post"});
        story.published(ALICE, json!({"type": "Create", "object": elsewhere}));
        story.published(BASE, json!({"type": "Create", "object": person("carol", false)}));
        story.received(BOB, json!({"type": "Create", "object": post("Gig Night")}));
        assert!(story.rows(&view()).is_empty());
    }
}
