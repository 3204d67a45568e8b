//! What the types of a local actor's objects ask of this domain beside their schemas: texts that are derived, and texts that
//! no two objects have. Pure; the server reads who has what, and the batch decides by compare-and-set.

use std::collections::{BTreeMap, BTreeSet};

use fedsx_kernel::{
    activity::types_of,
    definition::{Field, Format, MAX_CHAIN, MAX_OBJECTS, objects},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Registry;

/// What an embedded object's types ask.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The object's place among those of the draft.
    pub index: usize,
    pub fields: Vec<AskedField>,
}

/// A field that is derived, unique, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedField {
    /// `Article/slug`: the record that declares it, and its name. Within it no text is there twice.
    pub scope: String,
    pub field: Field,
}

impl AskedField {
    /// The text that is claimed by an object which says it. What the schema refuses anyway claims nothing.
    #[must_use]
    pub fn claimed<'o>(&self, object: &'o Map<String, Value>) -> Option<&'o str> {
        let text = object.get(&self.field.name)?.as_str()?;
        let is_sound = self.field.format != Some(Format::Slug) || fedsx_kernel::slug::is_slug(text);
        (self.field.unique && is_sound).then_some(text)
    }
}

/// What a draft's objects are asked; only `Create` and `Update` say what an object is.
#[must_use]
pub fn asked(registry: &Registry, document: &Map<String, Value>) -> Vec<Asked> {
    if !matches!(types_of(document).next(), Some("Create" | "Update")) {
        return Vec::new();
    }
    let embedded = objects(document).iter().enumerate().take(MAX_OBJECTS);
    embedded
        .filter_map(|(index, object)| {
            let fields = fields(registry, object.as_object()?);
            (!fields.is_empty()).then_some(Asked { index, fields })
        })
        .collect()
}

/// Of the record that the object's type stands for here, whatever `typeCid` it names, and of those whose rules hold too, as
/// far as they are this domain's own.
fn fields(registry: &Registry, object: &Map<String, Value>) -> Vec<AskedField> {
    let mut found: Vec<AskedField> = Vec::new();
    let mut next = types_of(object).find_map(|name| registry.type_named(name));
    for _ in 0..MAX_CHAIN {
        let Some(record) = next else { break };
        for field in &record.schema().fields {
            let is_new = !found.iter().any(|other| other.field.name == field.name);
            if is_new && (field.unique || field.slug_of().is_some()) {
                found.push(AskedField {
                    scope: format!("{}/{}", record.name(), field.name),
                    field: field.clone(),
                });
            }
        }
        next = record.parent().and_then(|cid| registry.type_record(cid));
    }
    found
}

/// What an object has claimed: the row `object/<id>` of kv.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Who may change the object, as the view `objects` has it.
    pub owners: BTreeSet<String>,
    /// Texts by their scopes.
    pub texts: BTreeMap<String, String>,
}

/// Who may change an object that an actor makes: whom it is attributed to, else the maker.
#[must_use]
pub fn owners(maker: &str, object: &Map<String, Value>) -> BTreeSet<String> {
    let values = match object.get("attributedTo") {
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => &[],
    };
    let ids = values.iter().filter_map(|value| match value {
        Value::Object(object) => object.get("id").and_then(Value::as_str),
        value => value.as_str(),
    });
    let mut owners: BTreeSet<_> = ids.map(str::to_owned).collect();
    if owners.is_empty() {
        owners.insert(maker.to_owned());
    }
    owners
}

/// The key under which a text of a scope is claimed.
#[must_use]
pub fn claim_key(scope: &str, text: &str) -> String {
    format!("{scope}/{text}")
}

/// The key of an object's [`Holding`]. No type is named `object/…`: names have no slash.
#[must_use]
pub fn holding_key(id: &str) -> String {
    format!("object/{id}")
}
