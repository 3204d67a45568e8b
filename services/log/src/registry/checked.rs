//! What the schema stages said of an activity, and by which registry.

use std::{collections::HashMap, sync::Arc};

use fedsx_kernel::{activity::types_of, cid::Cid, definition::TypeRecord, draft::Draft, origin::Origin};
use fedsx_runtime::code::Refusal;
use serde_json::{Map, Value};

use super::{
    Registry,
    check::Passed,
    row,
    row::Said,
    stages::{Speaker, Stages},
};
use crate::refusal;

/// What the stages said, to be asked again where the registry has moved since. The default is of what no stage is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The registry's position; none: there is nothing to check.
    pub at: Option<u64>,
    pub passed: Result<Passed, Refusal>,
    /// Peers' types that were here.
    pub fetched: Arc<HashMap<Cid, Arc<TypeRecord>>>,
    /// Whether an object whose type cannot be resolved is refused.
    pub strict: bool,
}

impl Default for Checked {
    fn default() -> Self {
        Self {
            at: None,
            passed: Ok(Passed::default()),
            fetched: Arc::default(),
            strict: false,
        }
    }
}

impl Checked {
    /// What an operator has decided about who defines.
    #[must_use]
    pub fn decided(origin: &Origin, document: &Map<String, Value>) -> Self {
        let passed = grant(origin, document).map(|said| Passed {
            defines: said.as_ref().map(row::write),
            ..Passed::default()
        });
        Self {
            passed,
            ..Self::default()
        }
    }

    /// Whether nothing has been defined since.
    #[must_use]
    pub fn is_current(&self, registry: &Registry) -> bool {
        self.at.is_none_or(|at| at == registry.position())
    }

    /// The stages by a registry.
    #[must_use]
    pub fn stages<'a>(&'a self, registry: &'a Registry) -> Stages<'a> {
        Stages {
            registry,
            fetched: &self.fetched,
            strict: self.strict,
        }
    }

    /// What the stages say of a document by a registry.
    #[must_use]
    pub fn again(&self, registry: &Registry, document: &Map<String, Value>, speaker: Speaker<'_>) -> Self {
        Self {
            at: Some(registry.position()),
            passed: self.stages(registry).check(document, speaker),
            fetched: Arc::clone(&self.fetched),
            strict: self.strict,
        }
    }
}

/// A draft with what the stages have completed.
///
/// # Errors
/// The stages' refusal, or the draft's: completed, it is no sound draft any more.
pub fn completed(given: &Arc<Draft>, checked: &Checked) -> Result<Arc<Draft>, Refusal> {
    let passed = checked.passed.as_ref().map_err(Clone::clone)?;
    if passed.object.is_none() && passed.terms.is_empty() {
        return Ok(Arc::clone(given));
    }
    let mut draft = Draft::clone(given);
    if let Some(object) = passed.object.clone() {
        draft = draft.with_object(object).map_err(refusal::draft)?;
    }
    if !passed.terms.is_empty() {
        draft = draft.with_terms(&passed.terms).map_err(refusal::draft)?;
    }
    Ok(Arc::new(draft))
}

/// The grant that an activity in the stream `domain` gives or takes back: `Grant` or `Revoke` of an actor, with `grant`
/// `define`.
fn grant(origin: &Origin, document: &Map<String, Value>) -> Result<Option<Said>, Refusal> {
    let defines = match types_of(document).next() {
        Some("Grant") => true,
        Some("Revoke") => false,
        _ => return Ok(None),
    };
    if document.get("grant").and_then(Value::as_str) != Some("define") {
        return Err(refusal::malformed(
            "`grant` is not `define`, and there is no other",
        ));
    }
    let actor = document.get("object").and_then(Value::as_str).unwrap_or_default();
    if origin.actor_name(actor).is_none() {
        return Err(refusal::malformed("`object` is no actor of this domain"));
    }
    let actor = actor.to_owned();
    Ok(Some(Said::Grant { actor, defines }))
}

/// As whom a local actor speaks.
#[must_use]
pub fn speaker<'a>(origin: &Origin, actor: &'a str) -> Speaker<'a> {
    if origin.is_base(actor) {
        Speaker::Base
    } else {
        Speaker::Local(actor)
    }
}
