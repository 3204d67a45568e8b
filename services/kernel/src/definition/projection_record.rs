//! Projections: keyed folds over the log, as data.

use serde_json::{Map, Value};

use super::{members::Members, named::Named, read::DefinitionError, vocabulary::is_name};
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

/// What `when` and `key` may name: the activity, and of its entry `position`, `stream` (`outbox` or `inbox`) and `at`, the time
/// when it was appended.
pub const OF_ENTRIES: [&str; 2] = ["activity", "entry"];
/// What `fold` may name: besides those, the row's state, or the seed where there is no row, and its key.
pub const OF_ROWS: [&str; 4] = ["activity", "entry", "state", "key"];

/// A projection: which entries it is about, the keys of the rows that each touches, and what becomes of a row.
#[derive(Debug, Clone)]
pub struct ProjectionRecord {
    name: String,
    verbs: Vec<String>,
    types: Vec<String>,
    when: Option<Program>,
    key: Program,
    seed: Value,
    fold: Program,
    named: Named,
}

impl PartialEq for ProjectionRecord {
    fn eq(&self, other: &Self) -> bool {
        self.named == other.named
    }
}

/// Adds the profile that the expressions are written in.
pub(super) fn complete(record: &mut Map<String, Value>) {
    if !record.contains_key(PROFILE_KEY) {
        record.insert(PROFILE_KEY.to_owned(), PROFILE.into());
    }
}

impl ProjectionRecord {
    pub(super) fn read(record: &Map<String, Value>) -> Result<Self, DefinitionError> {
        let known = ["name", "on", "when", "key", "seed", "fold", PROFILE_KEY];
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
            name: members.name("name")?.to_owned(),
            verbs: names(&on, "verbs")?,
            types: names(&on, "types")?,
            when: expression(&members, "when", &OF_ENTRIES)?,
            key: required(&members, "key", &OF_ENTRIES)?,
            seed: seed(&members)?,
            fold: required(&members, "fold", &OF_ROWS)?,
            named: Named::of(record)?,
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The verbs of the activities that it is about; none: all.
    #[must_use]
    pub fn verbs(&self) -> &[String] {
        &self.verbs
    }
    /// The types of the objects that it is about; none: all.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }
    /// What must be true of an entry.
    #[must_use]
    pub fn when(&self) -> Option<&Program> {
        self.when.as_ref()
    }
    /// A text, or a list of texts: the rows that an entry touches.
    #[must_use]
    pub fn key(&self) -> &Program {
        &self.key
    }
    /// What a row's state is before its first entry.
    #[must_use]
    pub fn seed(&self) -> &Value {
        &self.seed
    }
    /// The row's state after the entry; null deletes it.
    #[must_use]
    pub fn fold(&self) -> &Program {
        &self.fold
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

fn names(on: &Members<'_>, key: &str) -> Result<Vec<String>, DefinitionError> {
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

fn required(members: &Members<'_>, key: &str, variables: &[&str]) -> Result<Program, DefinitionError> {
    expression(members, key, variables)?.ok_or_else(|| members.error(key, "is missing"))
}

fn expression(
    members: &Members<'_>,
    key: &str,
    variables: &[&str],
) -> Result<Option<Program>, DefinitionError> {
    let scope = Scope::local(variables.iter().copied());
    let invalid = |error: predicate::Invalid| members.error(key, error.to_string());
    let source = members.text(key)?;
    source
        .map(|source| Program::compile(source, &scope).map_err(invalid))
        .transpose()
}

fn seed(members: &Members<'_>) -> Result<Value, DefinitionError> {
    let seed = members.get("seed").unwrap_or(&Value::Null);
    if json::values(seed) > MAX_SEED {
        return Err(members.error("seed", format!("has more than {MAX_SEED} values")));
    }
    Ok(seed.clone())
}
