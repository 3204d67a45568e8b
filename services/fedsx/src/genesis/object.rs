//! `objects/*.yaml`: objects that a domain has from the first day.

use fedsx_kernel::{
    activity::{PUBLIC, types_of},
    canonical,
    cid::Cid,
    definition::{self, Definition, Kind, MAX_CHAIN, Rule, TypeRecord},
    draft::Draft,
    origin::Origin,
    slug,
};
use serde_json::{Map, Value, json};

use super::{Manifest, Record, problem::Problems, source::Document};
use crate::{drafts, markdown};

/// What the publishing gives, and no file.
const GIVEN: [&str; 6] = ["id", "attributedTo", "to", "cc", "bto", "bcc"];

/// An object of a bundle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object {
    /// The file's: its id is `/objects/<name>`.
    pub(crate) name: String,
    /// The bundle's.
    pub(crate) bundle: String,
    /// The name of the actor who publishes it.
    pub(crate) actor: String,
    to: To,
    /// As it is written.
    object: Map<String, Value>,
    /// Of what is written in the file, by which a change is seen.
    pub(crate) cid: Cid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Public,
    Followers,
    Nobody,
}

impl To {
    const ALL: [(&'static str, Self); 3] = [
        ("public", Self::Public),
        ("followers", Self::Followers),
        ("nobody", Self::Nobody),
    ];
}

impl Object {
    /// Reads a file; none where something is wrong in it.
    pub(super) fn read(
        name: &str,
        document: &Document,
        manifest: Option<&Manifest>,
        records: &[Record],
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut reader = Reader {
            document,
            problems,
            is_sound: true,
        };
        for key in document.members.keys() {
            if !["actor", "to", "object"].contains(&key.as_str()) {
                reader.wrong(key, "is none of actor, to, object");
            }
        }
        if drafts::object_path(name).is_err() || name.contains('/') {
            reader.wrong("", "is not named by letters, digits, `-`, `_`, `.` and `~` alone");
        }
        let actor = reader.actor(manifest);
        let to = reader.to();
        let mut read = Self {
            name: name.to_owned(),
            bundle: manifest.map(|manifest| manifest.name.clone()).unwrap_or_default(),
            actor,
            to,
            object: reader.object(),
            cid: Cid::of_canonical(b""),
        };
        if reader.is_sound {
            reader.check(&read, records);
        }
        match canonical::to_vec(&Value::Object(document.members.clone())) {
            Ok(written) => read.cid = Cid::of_canonical(&written),
            Err(error) => reader.wrong("object", error.to_string()),
        }
        reader.is_sound.then_some(read)
    }

    pub(super) fn id(&self, origin: &Origin) -> String {
        origin.object(&self.name)
    }

    /// The draft that publishes it: `Create`, or `Update`.
    pub(super) fn draft(&self, verb: &str, origin: &Origin) -> Value {
        let actor = origin.actor(&self.actor);
        let followers = drafts::followers_of(&actor);
        let (to, cc) = match self.to {
            To::Public => (vec![PUBLIC.to_owned()], vec![followers]),
            To::Followers => (vec![], vec![followers]),
            To::Nobody => (vec![], vec![]),
        };
        let mut object = self.object.clone();
        markdown::complete(&mut object);
        object.insert("id".to_owned(), self.id(origin).into());
        object.insert("attributedTo".to_owned(), actor.into());
        object.insert("to".to_owned(), to.clone().into());
        object.insert("cc".to_owned(), cc.clone().into());
        json!({ "type": verb, "object": object, "to": to, "cc": cc })
    }
}

struct Reader<'a> {
    document: &'a Document,
    problems: &'a mut Problems,
    is_sound: bool,
}

impl Reader<'_> {
    fn wrong(&mut self, key: &str, text: impl Into<String>) {
        self.problems.push(self.document.problem(key, text));
        self.is_sound = false;
    }

    fn actor(&mut self, manifest: Option<&Manifest>) -> String {
        let Some(manifest) = manifest else {
            self.wrong("actor", "speaks in a bundle alone, which has a bundle.yaml");
            return String::new();
        };
        let Some(name) = self.document.members.get("actor") else {
            self.wrong("actor", "is missing");
            return String::new();
        };
        let found = manifest.actors.iter().find(|actor| *name == actor.name.as_str());
        match found {
            Some(actor) => actor.name.clone(),
            None => {
                let names: Vec<_> = manifest.actors.iter().map(|actor| &*actor.name).collect();
                self.wrong(
                    "actor",
                    format!("is no actor of bundle.yaml: {}", names.join(", ")),
                );
                String::new()
            }
        }
    }

    fn to(&mut self) -> To {
        let Some(said) = self.document.members.get("to") else {
            return To::Public;
        };
        let found = To::ALL.into_iter().find(|(word, _)| said == word);
        found.map(|(_, to)| to).unwrap_or_else(|| {
            self.wrong("to", "is none of public, followers, nobody");
            To::Nobody
        })
    }

    fn object(&mut self) -> Map<String, Value> {
        let document = self.document;
        let Some(Value::Object(object)) = document.members.get("object") else {
            self.wrong("object", "is no object");
            return Map::new();
        };
        for key in GIVEN.into_iter().filter(|key| object.contains_key(*key)) {
            self.wrong(&format!("object.{key}"), "is given when it is published");
        }
        match object.get("type") {
            Some(Value::String(name)) if !name.trim().is_empty() => {}
            Some(_) => self.wrong("object.type", "is no type's name"),
            None => self.wrong("object.type", "is missing"),
        }
        object.clone()
    }

    /// Whether a log would take it, as far as the bundle can tell.
    fn check(&mut self, read: &Object, records: &[Record]) {
        let Ok(origin) = "https://site.example".parse::<Origin>() else {
            return;
        };
        let mut draft = read.draft("Create", &origin);
        if let Err(error) = Draft::parse(draft.to_string().as_bytes()) {
            self.wrong("object", format!("cannot be published: {error}"));
            return;
        }
        let Some(object) = draft.get_mut("object").and_then(Value::as_object_mut) else {
            return;
        };
        let mut name: Option<String> = types_of(object).next().map(str::to_owned);
        for _ in 0..MAX_CHAIN {
            let Some(record) = name.take().and_then(|name| type_record(records, &name)) else {
                break;
            };
            for field in &record.schema().fields {
                let source = field.slug_of().filter(|_| !object.contains_key(&field.name));
                if let Some(text) = source.map(|from| object.get(from).and_then(Value::as_str)) {
                    let derived = slug::derive(text.unwrap_or_default());
                    object.insert(field.name.clone(), derived.into());
                }
            }
            record.schema().derive(object);
            if let Err(violation) = definition::check(object, record.name(), record.schema()) {
                let key = match &violation.rule {
                    Rule::Field(name) => format!("object.{name}"),
                    Rule::Refinement => "object".to_owned(),
                };
                self.wrong(&key, format!("breaks its type: {violation}"));
                return;
            }
            name = record.parent().map(ToString::to_string);
        }
    }
}

/// A type of the bundle by its name or its CID.
fn type_record(records: &[Record], named: &str) -> Option<TypeRecord> {
    let mut types = records.iter().filter(|record| record.kind == Kind::Type);
    let record = types.find(|record| record.name == named || record.cid.as_str() == named)?;
    match Definition::read(Kind::Type, &record.document) {
        Ok(Definition::Type(record)) => Some(record),
        _ => None,
    }
}
