//! `bundle.yaml`: the bundle's name, what it stands on, and who speaks in the domain from the first day.

use fedsx_kernel::actor::{self, NewActor};
use serde_json::{Map, Value};

use super::{problem::Problems, source::Document};
use crate::drafts;

/// What `bundle.yaml` says.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    /// Bundles whose definitions hold here too.
    pub(crate) includes: Vec<String>,
    pub(crate) actors: Vec<Actor>,
}

/// An actor that the domain has from the first day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) kind: actor::Kind,
    pub(crate) display_name: Option<String>,
    pub(crate) summary: Option<String>,
    /// Whether it has the grant `define`.
    pub(crate) defines: bool,
}

impl Actor {
    /// The draft that makes it.
    pub(crate) fn draft(&self) -> Value {
        let (title, summary) = (self.display_name.as_deref(), self.summary.as_deref());
        drafts::create_actor(Some(&self.name), self.kind, title, summary, false)
    }
}

impl Manifest {
    /// Reads a manifest; what is wrong in it is noted, and stands empty in what is returned.
    pub(super) fn read(document: &Document, problems: &mut Problems) -> Self {
        let mut reader = Reader { document, problems };
        let top = &document.members;
        reader.known("", top, &["name", "title", "summary", "includes", "actors"]);
        let mut manifest = Self {
            name: reader.required("", top, "name"),
            title: reader.required("", top, "title"),
            summary: reader.required("", top, "summary"),
            includes: reader.texts("", top, "includes"),
            actors: Vec::new(),
        };
        for (index, actor) in reader.list("", top, "actors").iter().enumerate() {
            let path = format!("actors[{index}]");
            let Some(members) = actor.as_object() else {
                reader.problem(&path, "is no mapping");
                continue;
            };
            let read = reader.actor(&path, members);
            if manifest.actors.iter().any(|other| other.name == read.name) {
                reader.problem(&at(&path, "name"), "is a second actor of that name");
            }
            manifest.actors.push(read);
        }
        manifest
    }
}

struct Reader<'a> {
    document: &'a Document,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn problem(&mut self, key: &str, text: impl Into<String>) {
        self.problems.push(self.document.problem(key, text));
    }

    fn known(&mut self, path: &str, members: &Map<String, Value>, known: &[&str]) {
        for key in members.keys().filter(|key| !known.contains(&key.as_str())) {
            self.problem(&at(path, key), format!("is none of {}", known.join(", ")));
        }
    }

    fn text(&mut self, path: &str, members: &Map<String, Value>, key: &str) -> Option<String> {
        match members.get(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.problem(&at(path, key), "is no text");
                None
            }
        }
    }

    fn required(&mut self, path: &str, members: &Map<String, Value>, key: &str) -> String {
        match members.get(key) {
            Some(Value::String(text)) if text.trim().is_empty() => self.problem(&at(path, key), "is empty"),
            Some(_) => {}
            None => self.problem(&at(path, key), "is missing"),
        }
        self.text(path, members, key).unwrap_or_default()
    }

    fn list(&mut self, path: &str, members: &Map<String, Value>, key: &str) -> Vec<Value> {
        match members.get(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(_) => {
                self.problem(&at(path, key), "is no list");
                Vec::new()
            }
        }
    }

    fn texts(&mut self, path: &str, members: &Map<String, Value>, key: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for (index, item) in self.list(path, members, key).into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                _ => self.problem(&format!("{}[{index}]", at(path, key)), "is no text"),
            }
        }
        texts
    }

    fn actor(&mut self, path: &str, members: &Map<String, Value>) -> Actor {
        const KNOWN: [&str; 5] = ["name", "type", "displayName", "summary", "grants"];
        self.known(path, members, &KNOWN);
        let word = self.required(path, members, "type");
        let kind: Option<actor::Kind> = serde_json::from_value(word.as_str().into()).ok();
        if kind.is_none() && !word.is_empty() {
            self.problem(&at(path, "type"), "is none of Person, Service, Group");
        }
        let grants = self.texts(path, members, "grants");
        for (index, _) in grants.iter().enumerate().filter(|(_, grant)| *grant != "define") {
            let key = format!("{path}.grants[{index}]");
            self.problem(&key, "is not `define`, and there is no other");
        }
        let actor = Actor {
            name: self.required(path, members, "name"),
            kind: kind.unwrap_or(actor::Kind::Person),
            display_name: self.text(path, members, "displayName"),
            summary: self.text(path, members, "summary"),
            defines: grants.iter().any(|grant| grant == "define"),
        };
        let draft = actor.draft();
        let object = draft.get("object").and_then(Value::as_object);
        if let Some(Err(error)) = object.map(NewActor::from_object)
            && !actor.name.is_empty()
        {
            let key = match error.field {
                "preferredUsername" => "name",
                "name" => "displayName",
                other => other,
            };
            self.problem(&at(path, key), error.problem);
        }
        actor
    }
}

fn at(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}
