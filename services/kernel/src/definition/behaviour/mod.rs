//! Behaviours: what a domain does when an activity arrives, as data.
//!
//! A behaviour names verbs, types and a directed acyclic graph of [`Step`]s. The graph is written in order: a step comes
//! after the one before it, or after those that it names, which stand above it; so there is no circle to look for.

mod admit;
mod effect;
mod step;
mod template;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value};

pub(super) use admit::admit;
pub use effect::{Effect, EffectKind, is_hook};
pub use step::{Action, Awaited, Case, Edge, MAX_ITEMS, OF_FLOWS, Step, Suspend, Timer};
pub use template::Template;

use super::{
    members::Members,
    named::{self, Named},
    projection_record::{OF_ENTRIES, expression, names},
    read::DefinitionError,
};
use crate::{
    cid::Cid,
    predicate::{PROFILE, Program},
};

/// Most steps of a behaviour.
const MAX_STEPS: usize = 64;
/// Most rows that a `query` is told.
pub const MAX_ROWS: u32 = 1000;
const PROFILE_KEY: &str = "profile";

/// A behaviour.
#[derive(Debug, Clone)]
pub struct BehaviourRecord {
    name: String,
    trigger: Trigger,
    steps: Arc<[Step]>,
    named: Named,
}

/// Which entries start a flow.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// The verbs of their activities; never none: what happens on every verb is nobody's intention.
    pub verbs: Vec<String>,
    /// The types of the objects; none: all.
    pub types: Vec<String>,
    /// What must be true of an entry.
    pub when: Option<Program>,
}

impl PartialEq for BehaviourRecord {
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

impl BehaviourRecord {
    pub(super) fn read(record: &Map<String, Value>) -> Result<Self, DefinitionError> {
        let members = Members::of("", record, &["name", "on", "when", "steps", PROFILE_KEY])?;
        let name = members.name("name")?.to_owned();
        if members.text(PROFILE_KEY)? != Some(PROFILE) {
            return Err(members.error(PROFILE_KEY, format!("is not {PROFILE}")));
        }
        let on = members
            .get("on")
            .and_then(Value::as_object)
            .ok_or_else(|| members.error("on", "is no object"))?;
        let on = Members::of("on", on, &["verbs", "types"])?;
        let trigger = Trigger {
            verbs: names(&on, "verbs")?,
            types: names(&on, "types")?,
            when: expression(&members, "when", &OF_ENTRIES)?,
        };
        if trigger.verbs.is_empty() {
            return Err(on.error("verbs", "is missing"));
        }
        Ok(Self {
            name,
            trigger,
            steps: step::steps(&members)?.into(),
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
    pub fn trigger(&self) -> &Trigger {
        &self.trigger
    }

    /// In their order; none: the behaviour is switched off.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
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
