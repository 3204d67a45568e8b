//! What a local actor's object leaves out is derived, and what must be unique is claimed, by changes of kv that are made with
//! the publish itself or not at all.
//!
//! The space [`UNIQUE_SPACE`] holds `<type>/<field>/<text>`, whose value is the id of the object that has the text, and
//! `object/<id>`, what an object has. Both are compared and set: who reads in vain what another has claimed meanwhile begins
//! anew.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use fedsx_kernel::{activity::types_of, definition::objects, draft::Draft, slug};
use fedsx_proto::v1::KvChange;
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Map, Value};

use super::LogService;
use crate::{
    limits,
    refusal::{self, malformed},
    registry::unique::{self, Asked, AskedField, Holding},
    store::UNIQUE_SPACE,
};

/// Most numbers that are tried where a derived text is taken.
const MAX_NUMBER: u32 = 100;
/// Bytes of the id of an object that claims texts.
const MAX_OBJECT_ID: usize = 1024;

/// What a draft claims, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// The draft with what was derived; none: as it was given.
    pub(super) draft: Option<Draft>,
    pub(super) changes: Vec<KvChange>,
    pub(super) asked: Vec<Asked>,
}

/// The numbers that were taken already, by scope and derived text: what one has seen taken, it need not read again.
#[derive(Debug, Default)]
pub(super) struct Taken(HashMap<String, u32>);

/// Reads who has what, and says what is to be changed.
///
/// # Errors
/// [`Code::AlreadyExists`], naming field and text, where another object has it.
pub(super) async fn claim(
    log: &LogService,
    actor: &str,
    given: &Draft,
    taken: &mut Taken,
) -> Result<Claims, Refusal> {
    let asked = unique::asked(&log.registry.get(), given.document());
    let is_delete = types_of(given.document()).next() == Some("Delete");
    if asked.is_empty() && !is_delete {
        return Ok(Claims::default());
    }
    let mut claimer = Claimer {
        log,
        actor,
        taken,
        items: BTreeMap::new(),
    };
    let all = objects(given.document());
    if is_delete {
        for object in all {
            let id = object.get("id").unwrap_or(object).as_str();
            if let Some(id) = id.filter(|id| log.origin.owns(id) && id.len() <= MAX_OBJECT_ID) {
                claimer.release(id).await?;
            }
        }
        return Ok(Claims {
            changes: claimer.changes(),
            ..Claims::default()
        });
    }
    let mut completed = all.to_vec();
    for asked in &asked {
        if let Some(object) = completed.get_mut(asked.index).and_then(Value::as_object_mut) {
            claimer.complete(object, &asked.fields).await?;
        }
    }
    let draft = match completed == all {
        true => None,
        false => {
            let object = match given.document().get("object") {
                Some(Value::Array(_)) => Some(Value::Array(completed)),
                _ => completed.pop(),
            };
            let draft = given.clone().with_object(object.unwrap_or_default());
            Some(draft.map_err(refusal::draft)?)
        }
    };
    Ok(Claims {
        draft,
        changes: claimer.changes(),
        asked,
    })
}

/// An item of kv as it was read, and as it is to be.
#[derive(Debug)]
struct Item {
    version: u64,
    value: Option<Bytes>,
    is_changed: bool,
}

struct Claimer<'a> {
    log: &'a LogService,
    actor: &'a str,
    taken: &'a mut Taken,
    /// By key: each is read once, and objects of one draft see each other's.
    items: BTreeMap<String, Item>,
}

impl Claimer<'_> {
    async fn item(&mut self, key: &str) -> Result<&mut Item, Refusal> {
        if !self.items.contains_key(key) {
            let found = self.log.store.kv_get(UNIQUE_SPACE, key).await;
            let found = found.map_err(|error| error.refuse())?;
            let (version, value) = found.map_or((0, None), |item| (item.version, Some(item.value)));
            let item = Item {
                version,
                value,
                is_changed: false,
            };
            self.items.insert(key.to_owned(), item);
        }
        self.items
            .get_mut(key)
            .ok_or_else(|| Refusal::new(Code::Internal, "an item that was read is not there"))
    }

    async fn set(&mut self, key: &str, value: Option<Bytes>) -> Result<(), Refusal> {
        let item = self.item(key).await?;
        (item.value, item.is_changed) = (value, true);
        Ok(())
    }

    /// The object that has a text.
    async fn holder(&mut self, key: &str) -> Result<Option<Bytes>, Refusal> {
        Ok(self.item(key).await?.value.clone())
    }

    async fn holding(&mut self, id: &str) -> Result<Option<Holding>, Refusal> {
        let key = unique::holding_key(id);
        let Some(value) = self.item(&key).await?.value.clone() else {
            return Ok(None);
        };
        serde_json::from_slice(&value).map(Some).map_err(|error| {
            tracing::error!(space = UNIQUE_SPACE, %key, "a row of kv cannot be read: {error}");
            Refusal::new(Code::Internal, format!("what {id} has claimed cannot be read"))
        })
    }

    /// Derives what an object leaves out, and claims what it says. Who may not change the object claims nothing for it:
    /// what is said of it has no effect.
    async fn complete(
        &mut self,
        object: &mut Map<String, Value>,
        fields: &[AskedField],
    ) -> Result<(), Refusal> {
        let id = match object.get("id").and_then(Value::as_str) {
            Some(id) if self.log.origin.owns(id) => id.to_owned(),
            Some(_) => return Ok(()),
            None => return without_id(object, fields),
        };
        if id.len() > MAX_OBJECT_ID {
            let detail = format!(
                "`object.id` has {} bytes, at most {MAX_OBJECT_ID} are taken",
                id.len()
            );
            return Err(malformed(detail));
        }
        let held = self.holding(&id).await?;
        let owners = match &held {
            Some(held) => held.owners.clone(),
            None => unique::owners(self.actor, object),
        };
        if !owners.contains(self.actor) {
            return Ok(());
        }
        let before = held.unwrap_or_default().texts;
        let mut texts = BTreeMap::new();
        for asked in fields {
            let kept = before.get(&asked.scope);
            if let Some(text) = self.text(object, &id, asked, kept.map(String::as_str)).await? {
                texts.insert(asked.scope.clone(), text);
            }
        }
        if before.is_empty() && texts.is_empty() {
            return Ok(());
        }
        for (scope, text) in &before {
            if texts.get(scope) != Some(text) {
                self.set(&unique::claim_key(scope, text), None).await?;
            }
        }
        // Even where nothing has changed, so that what is kept here is not given up by another draft meanwhile.
        let holding = Holding { owners, texts };
        let value = serde_json::to_vec(&holding);
        let value = value.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
        self.set(&unique::holding_key(&id), Some(value.into())).await
    }

    /// The text that an object has in a field: its own, the one that it had, or one that is derived.
    async fn text(
        &mut self,
        object: &mut Map<String, Value>,
        id: &str,
        asked: &AskedField,
        kept: Option<&str>,
    ) -> Result<Option<String>, Refusal> {
        let name = &asked.field.name;
        if object.contains_key(name) {
            let Some(text) = asked.claimed(object).map(str::to_owned) else {
                return Ok(None);
            };
            limits::name(name, &text, limits::MAX_KEY - MAX_OBJECT_ID)?;
            if !self.take(id, &unique::claim_key(&asked.scope, &text)).await? {
                let detail = format!("the field `{name}`: another object of this domain has {text:?}");
                return Err(Refusal::new(Code::AlreadyExists, detail));
            }
            return Ok(Some(text));
        }
        let text = match (kept, asked.field.slug_of()) {
            (Some(kept), _) => kept.to_owned(),
            (None, None) => return Ok(None),
            (None, Some(from)) => {
                let source = object.get(from).and_then(Value::as_str).unwrap_or_default();
                self.derived(id, asked, &slug::derive(source)).await?
            }
        };
        object.insert(name.clone(), text.clone().into());
        Ok(asked.field.unique.then_some(text))
    }

    /// The derived text, or where it is taken, the first of its numbers that is not.
    async fn derived(&mut self, id: &str, asked: &AskedField, text: &str) -> Result<String, Refusal> {
        if !asked.field.unique {
            return Ok(text.to_owned());
        }
        let first = unique::claim_key(&asked.scope, text);
        let mut number = self.taken.0.get(&first).copied().unwrap_or(1);
        while number <= MAX_NUMBER {
            let numbered = slug::numbered(text, number);
            if self.take(id, &unique::claim_key(&asked.scope, &numbered)).await? {
                return Ok(numbered);
            }
            number += 1;
            self.taken.0.insert(first.clone(), number);
        }
        let name = &asked.field.name;
        let detail = format!(
            "the field `{name}`: other objects of this domain have {text:?} and its numbers up to {MAX_NUMBER}"
        );
        Err(Refusal::new(Code::AlreadyExists, detail))
    }

    /// Whether a text is the object's from now on.
    async fn take(&mut self, id: &str, key: &str) -> Result<bool, Refusal> {
        match self.holder(key).await? {
            Some(holder) => Ok(holder == id.as_bytes()),
            None => {
                self.set(key, Some(Bytes::from(id.to_owned()))).await?;
                Ok(true)
            }
        }
    }

    /// Gives up what an object has claimed, where its owner deletes it.
    async fn release(&mut self, id: &str) -> Result<(), Refusal> {
        let Some(held) = self.holding(id).await? else {
            return Ok(());
        };
        if !held.owners.contains(self.actor) {
            return Ok(());
        }
        for (scope, text) in &held.texts {
            self.set(&unique::claim_key(scope, text), None).await?;
        }
        self.set(&unique::holding_key(id), None).await
    }

    fn changes(self) -> Vec<KvChange> {
        let changed = self.items.into_iter().filter(|(_, item)| item.is_changed);
        changed
            .map(|(key, item)| KvChange {
                space: UNIQUE_SPACE.to_owned(),
                key,
                value: item.value,
                expected_version: Some(item.version),
            })
            .collect()
    }
}

/// An object that nobody can name again has what is derived, and can claim nothing.
fn without_id(object: &mut Map<String, Value>, fields: &[AskedField]) -> Result<(), Refusal> {
    for asked in fields {
        let name = &asked.field.name;
        if asked.field.unique && object.contains_key(name) {
            let detail = format!("`object.id` is missing, and the field `{name}` is unique");
            return Err(Refusal::new(Code::SchemaRefused, detail));
        }
        if let (false, false, Some(from)) = (
            object.contains_key(name),
            asked.field.unique,
            asked.field.slug_of(),
        ) {
            let source = object.get(from).and_then(Value::as_str).unwrap_or_default();
            let derived = slug::derive(source);
            object.insert(name.clone(), derived.into());
        }
    }
    Ok(())
}
