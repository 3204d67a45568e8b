//! Projections: keyed folds over the log, as data.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    members::Members,
    named::{self, Named},
    read::DefinitionError,
    rules::{self, RelationRule},
    vocabulary::is_name,
};
use crate::{
    cid::Cid,
    json,
    predicate::{self, PROFILE, Program, Scope},
};

/// Most verbs, and most types, that a projection names.
const MAX_NAMES: usize = 64;
/// Most values of a seed, all that are in it counted.
const MAX_SEED: usize = 256;
const PROFILE_KEY: &str = "profile";
const NATIVE_KEY: &str = "native";
const RULES_KEY: &str = "rules";

/// What `when` and `key` may name: the activity, and what is known of its entry: `position`, `cid`, `stream` (`outbox`, `inbox`
/// or `flow`), `at` (RFC 3339, when it was appended), `public` (whether it addresses the public), `actor` (the actor's id, which
/// strangers may say as an object), `object` (the object's id, or null), `owns` (whether that is of its actor's origin:
/// FEP-fe34) and `defines` (the CID of the record that took effect with it, or null).
pub const OF_ENTRIES: [&str; 2] = ["activity", "entry"];
/// What `fold` may name: besides those, the row's state, or the seed where there is no row, and its key.
pub const OF_ROWS: [&str; 4] = ["activity", "entry", "state", "key"];

/// The folds that are code, by the names of the projections that they are for: what federation itself goes by, which the
/// log's other readers share or the profile cannot say. A change of one's meaning is another version.
const NATIVE: [(&str, u32); 6] = [
    ("actors", 1),
    ("blocks", 1),
    ("followers", 1),
    ("following", 1),
    ("following_by", 1),
    ("objects", 1),
];

/// A projection: which entries it is about, the keys of the rows that each touches, and what becomes of a row.
#[derive(Debug, Clone)]
pub struct ProjectionRecord {
    name: String,
    body: Body,
    named: Named,
}

/// What a projection does.
#[derive(Debug, Clone)]
pub enum Body {
    /// The fold in code of the projection's name, in this version.
    Native(u32),
    Declared(Arc<Declared>),
}

/// A fold that is data.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The verbs of the activities that it is about; none: all.
    pub verbs: Vec<String>,
    /// The types of the objects that it is about; none: all.
    pub types: Vec<String>,
    /// What must be true of an entry.
    pub when: Option<Program>,
    /// A text, or a list of texts: the rows that an entry touches.
    pub key: Program,
    /// What a row's state is before its first entry.
    pub seed: Value,
    /// The row's state after the entry; null deletes it.
    pub fold: Program,
    /// Where its rows are lists of edges: the rules that derive more of them.
    pub rules: Option<Vec<RelationRule>>,
}

impl PartialEq for ProjectionRecord {
    fn eq(&self, other: &Self) -> bool {
        self.named == other.named
    }
}

/// Adds the profile that the expressions are written in.
pub(super) fn complete(record: &mut Map<String, Value>) {
    let is_data = record.get("fold").is_none_or(|fold| !fold.is_object());
    if is_data && !record.contains_key(PROFILE_KEY) {
        record.insert(PROFILE_KEY.to_owned(), PROFILE.into());
    }
}

impl ProjectionRecord {
    pub(super) fn read(record: &Map<String, Value>) -> Result<Self, DefinitionError> {
        let name = Members::any(record).name("name")?.to_owned();
        let body = match record.get("fold").and_then(Value::as_object) {
            Some(fold) => Body::Native(native_fold(&name, record, fold)?),
            None if is_native(&name) => {
                let problem = format!("of `{name}` is {{native: 1}}: the domain itself goes by this view");
                return Err(DefinitionError::new("fold", problem));
            }
            None => Body::Declared(Arc::new(Declared::read(record)?)),
        };
        Ok(Self {
            name,
            body,
            named: Named::of(record)?,
        })
    }

    /// Reads a record in canonical form.
    ///
    /// # Errors
    /// [`DefinitionError`], naming the key.
    pub fn parse(canonical: &[u8]) -> Result<Self, DefinitionError> {
        Self::read(&named::members(canonical)?)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    #[must_use]
    pub fn cid(&self) -> &Cid {
        self.named.cid()
    }

    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        self.named.canonical()
    }
}

/// The names of the views that federation itself goes by.
pub fn native_names() -> impl Iterator<Item = &'static str> {
    NATIVE.iter().map(|(name, _)| *name)
}

/// Whether federation itself goes by the view of this name.
#[must_use]
pub fn is_native(name: &str) -> bool {
    NATIVE.iter().any(|(native, _)| *native == name)
}

/// The version of the fold in code that a record asks for.
fn native_fold(
    name: &str,
    record: &Map<String, Value>,
    fold: &Map<String, Value>,
) -> Result<u32, DefinitionError> {
    Members::of("", record, &["name", "fold"])?;
    let fold = Members::of("fold", fold, &[NATIVE_KEY])?;
    let version = fold
        .count(NATIVE_KEY)?
        .ok_or_else(|| fold.error(NATIVE_KEY, "is missing"))?;
    NATIVE
        .iter()
        .find(|(native, known)| *native == name && u64::from(*known) == version)
        .map(|(_, known)| *known)
        .ok_or_else(|| {
            fold.error(
                NATIVE_KEY,
                format!("is {version}, and no fold in code is `{name}` {version}"),
            )
        })
}

impl Declared {
    fn read(record: &Map<String, Value>) -> Result<Self, DefinitionError> {
        let known = [
            "name",
            "on",
            "when",
            "key",
            "seed",
            "fold",
            RULES_KEY,
            PROFILE_KEY,
        ];
        let members = Members::of("", record, &known)?;
        if members.text(PROFILE_KEY)? != Some(PROFILE) {
            return Err(members.error(PROFILE_KEY, format!("is not {PROFILE}")));
        }
        let on = members
            .get("on")
            .and_then(Value::as_object)
            .ok_or_else(|| members.error("on", "is no object"))?;
        let on = Members::of("on", on, &["verbs", "types"])?;
        Ok(Self {
            verbs: names(&on, "verbs")?,
            types: names(&on, "types")?,
            when: expression(&members, "when", &OF_ENTRIES)?,
            key: required(&members, "key", &OF_ENTRIES)?,
            seed: seed(&members)?,
            fold: required(&members, "fold", &OF_ROWS)?,
            rules: rules::rules(&members, RULES_KEY)?,
        })
    }
}

pub(super) fn names(on: &Members<'_>, key: &str) -> Result<Vec<String>, DefinitionError> {
    let Some(values) = on.list(key)? else {
        return Ok(Vec::new());
    };
    if values.is_empty() || values.len() > MAX_NAMES {
        return Err(on.error(key, format!("has {} names: 1 to {MAX_NAMES}", values.len())));
    }
    let name = |value: &Value| value.as_str().filter(|text| is_name(text)).map(str::to_owned);
    let names: Option<Vec<_>> = values.iter().map(name).collect();
    names.ok_or_else(|| on.error(key, "has something that is no name"))
}

pub(super) fn required(
    members: &Members<'_>,
    key: &str,
    variables: &[&str],
) -> Result<Program, DefinitionError> {
    expression(members, key, variables)?.ok_or_else(|| members.error(key, "is missing"))
}

pub(super) fn expression(
    members: &Members<'_>,
    key: &str,
    variables: &[&str],
) -> Result<Option<Program>, DefinitionError> {
    let scope = Scope::local(variables.iter().copied());
    let source = members.text(key)?;
    let compile = |source| {
        let invalid = |error: predicate::Invalid| members.error(key, error.told(source));
        Program::compile(source, &scope).map_err(invalid)
    };
    source.map(compile).transpose()
}

fn seed(members: &Members<'_>) -> Result<Value, DefinitionError> {
    let seed = members.get("seed").unwrap_or(&Value::Null);
    if json::values(seed) > MAX_SEED {
        return Err(members.error("seed", format!("has more than {MAX_SEED} values")));
    }
    Ok(seed.clone())
}
