//! Entries, and a log, for tests.

use std::{collections::BTreeMap, sync::Arc};

use fedsx_kernel::{
    activity::{Activity, CONTEXT, cid_of},
    definition::{Definition, Kind, ProjectionRecord},
    origin::Origin,
    stream::Stream,
};
use fedsx_proto::v1::{self, Meta};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    entry::{Entry, Parsed},
    progress::Progress,
    relations::{MAX_GRAPH, Relations},
    roster::{
        Board, Roster,
        settle::{Kept, State},
    },
    serving::Serving,
    store::Store,
    views::{Projection, Touched, View},
};

pub(crate) mod log;
pub(crate) mod node;
pub(crate) mod sample;
pub(crate) mod warnings;

pub(crate) const ORIGIN: &str = "https://blog.example";
pub(crate) const BASE: &str = "https://blog.example/";
pub(crate) const ALICE: &str = "https://blog.example/actors/alice";
pub(crate) const BOB: &str = "https://events.example/actors/bob";
/// When the first entry of a story was appended; each later one comes a second after the one before.
pub(crate) const AT: Timestamp = Timestamp::constant(1_795_000_000, 0);

pub(crate) fn origin() -> Origin {
    ORIGIN.parse().unwrap()
}

/// A note of alice's.
pub(crate) fn note() -> Value {
    complete(
        ALICE,
        json!({"type": "Create", "object": {"type": "Note", "content": "Gig Night"}}),
    )
}

/// The document of one of our actors; the base's where the name is empty.
pub(crate) fn person(name: &str, manual: bool) -> Value {
    let id = if name.is_empty() {
        BASE.to_owned()
    } else {
        origin().actor(name)
    };
    json!({
        "id": id,
        "type": "Person",
        "inbox": format!("{}/inbox", id.trim_end_matches('/')),
        "endpoints": {"sharedInbox": "https://blog.example/inbox"},
        "manuallyApprovesFollowers": manual,
    })
}

/// An activity with what every activity has. Its id is made from its CID, as by fed-sx.
pub(crate) fn complete(actor: &str, said: Value) -> Value {
    let mut document = Map::new();
    document.insert("@context".to_owned(), json!(CONTEXT));
    document.insert("actor".to_owned(), json!(actor));
    document.extend(said.as_object().unwrap().clone());
    if !document.contains_key("id") {
        let cid = cid_of(&document).unwrap();
        let id = Origin::of(actor).unwrap().activity(&cid);
        document.insert("id".to_owned(), json!(id));
    }
    Value::Object(document)
}

/// An entry as the log would keep it.
pub(crate) fn entry(position: u64, stream: &str, document: &Value) -> v1::Entry {
    let body = document.to_string().into_bytes();
    let activity = Activity::parse(&body).unwrap();
    let after = SignedDuration::from_secs(i64::try_from(position).unwrap() - 1);
    let peer = stream.starts_with("inbox/");
    let inbox = |own| {
        if peer {
            Origin::of(activity.actor()).unwrap().to_string() + own
        } else {
            String::new()
        }
    };
    v1::Entry {
        position,
        stream: stream.to_owned(),
        version: 1,
        cid: activity.cid().to_string(),
        meta: Some(Meta {
            inbox: inbox("/actors/somebody/inbox"),
            shared_inbox: inbox("/inbox"),
            ..Meta::default()
        }),
        appended_at_us: (AT + after).as_microsecond(),
        activity_id: activity.id().to_owned(),
        public: activity.is_public(),
        body: body.into(),
    }
}

/// A log in the making, folded without a store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    pub(crate) entries: Vec<v1::Entry>,
}

impl Story {
    pub(crate) fn published(&mut self, actor: &str, said: Value) -> Activity {
        self.append(&format!("outbox/{actor}"), actor, said)
    }

    pub(crate) fn received(&mut self, actor: &str, said: Value) -> Activity {
        self.append(&format!("inbox/{actor}"), actor, said)
    }

    /// What a stranger says, unless it is no activity.
    pub(crate) fn tries(&mut self, actor: &str, said: Value) {
        let document = complete(actor, said);
        if Activity::parse(document.to_string().as_bytes()).is_ok() {
            let position = u64::try_from(self.entries.len()).unwrap() + 1;
            self.entries
                .push(entry(position, &format!("inbox/{actor}"), &document));
        }
    }

    pub(crate) fn decided(&mut self, said: Value) -> Activity {
        self.append("domain", BASE, said)
    }

    fn append(&mut self, stream: &str, actor: &str, said: Value) -> Activity {
        let position = u64::try_from(self.entries.len()).unwrap() + 1;
        let entry = entry(position, stream, &complete(actor, said));
        let activity = Activity::parse(&entry.body).unwrap();
        self.entries.push(entry);
        activity
    }

    /// When the activity with this id was appended.
    pub(crate) fn time(&self, id: &str) -> Timestamp {
        let entry = self.entries.iter().find(|entry| entry.activity_id == id).unwrap();
        Timestamp::from_microsecond(entry.appended_at_us).unwrap()
    }

    /// What folds see.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut known: BTreeMap<String, Activity> = BTreeMap::new();
        let mut entries = Vec::new();
        for entry in &self.entries {
            let parsed = Parsed::parse(entry.clone()).unwrap();
            let referred = parsed.reference().and_then(|id| known.get(id)).cloned();
            let entry = parsed.resolve(referred.as_ref());
            known
                .entry(entry.activity.id().to_owned())
                .or_insert_with(|| entry.activity.clone());
            entries.push(entry);
        }
        entries
    }

    /// The rows of a view, by the plainest of all folds.
    pub(crate) fn rows(&self, view: &dyn View) -> BTreeMap<String, Value> {
        let mut rows: BTreeMap<String, Value> = BTreeMap::new();
        for entry in self.entries() {
            let keys = match view.touches(&entry) {
                Touched::Nothing => continue,
                Touched::Keys(keys) => keys,
                Touched::Peer(peer) => {
                    let about = |key: &&String| view.peer(key).as_ref() == Some(&peer);
                    rows.keys().filter(about).cloned().collect()
                }
            };
            for key in keys {
                match view.fold(&key, rows.get(&key), &entry).unwrap() {
                    Some(row) => rows.insert(key, row),
                    None => rows.remove(&key),
                };
            }
        }
        rows
    }
}

/// A view whose fold can be made to fail: the rows are the objects' ids, and count how often each was spoken of.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Fails at the object with this id.
    pub(crate) poison: &'static str,
}

impl View for Counts {
    fn listens(&self, _: &Stream, _: &str) -> bool {
        true
    }

    fn touches(&self, entry: &Entry) -> Touched {
        match entry.activity.object_id() {
            Some(id) => Touched::Keys(vec![id.to_owned(), id.to_owned()]),
            None => Touched::Nothing,
        }
    }

    fn fold(
        &self,
        key: &str,
        state: Option<&Value>,
        _: &Entry,
    ) -> Result<Option<Value>, crate::views::FoldError> {
        if key == self.poison {
            return Err(crate::views::FoldError::Row("poison".to_owned()));
        }
        Ok(Some(json!(state.and_then(Value::as_u64).unwrap_or(0) + 1)))
    }
}

/// The views that are code, under ids that are their names.
pub(crate) fn views() -> Arc<[Arc<Projection>]> {
    let native = NATIVE.map(|name| {
        let view = crate::views::native(name, 1, &origin()).unwrap();
        under(name, view)
    });
    native.into()
}

/// A view under an id that is its name.
pub(crate) fn under(name: &str, view: Box<dyn View>) -> Arc<Projection> {
    Arc::new(Projection {
        id: name.to_owned(),
        name: name.to_owned(),
        view,
        rules: None,
    })
}

/// Those, as they are read.
pub(crate) fn serving(store: Arc<dyn Store>, progress: Progress) -> Serving {
    Serving {
        relations: Relations::new(store.clone(), MAX_GRAPH),
        store,
        board: board(),
        progress,
    }
}

/// A board on which they stand.
pub(crate) fn board() -> Board {
    let kept = |projection: &Arc<Projection>| Kept {
        id: projection.id.clone(),
        name: projection.name.clone(),
        record: b"{}".to_vec(),
        since: 0,
        state: State::Live,
        cohort: 0,
    };
    let board = Board::default();
    board.tell(Roster::of(views().iter().map(kept).collect(), &views()));
    board
}

/// What `core` declares of them.
const NATIVE: [&str; 6] = [
    "actors",
    "blocks",
    "followers",
    "following",
    "following_by",
    "objects",
];

/// The records of the views that are code.
pub(crate) fn native_records() -> Vec<ProjectionRecord> {
    let record = |name: &str| projection(json!({"name": name, "fold": {"native": 1}}));
    NATIVE.into_iter().map(record).collect()
}

/// The id of a view that is code, as a log defines it.
pub(crate) fn native_id(name: &str) -> String {
    let records = native_records();
    let record = records.iter().find(|record| record.name() == name).unwrap();
    record.cid().to_string()
}

/// A record, completed.
pub(crate) fn projection(record: Value) -> ProjectionRecord {
    let record = record.as_object().unwrap().clone();
    let record = Definition::complete(Kind::Projection, record).unwrap();
    let Definition::Projection(record) = Definition::read(Kind::Projection, &record).unwrap() else {
        panic!("no projection")
    };
    record
}
