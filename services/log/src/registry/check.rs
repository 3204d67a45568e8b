//! The schema stages, which run before every append: the verb's schema, then the object's types. Pure: what is known of
//! types comes in.

use std::sync::Arc;

use fedsx_kernel::{
    activity::types_of,
    cid::Cid,
    definition::{self, DEFINES, Definition, Kind, MAX_OBJECTS, Terms, TypeRecord, Violation, objects},
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Map, Value};

use super::{
    resolve::{Broken, Resolved, one_meaning},
    row,
    row::Said,
    stages::{Speaker, Stages},
};
use crate::store::DefinitionRow;

/// What an entry's `remarks` say where an object's type could not be resolved.
pub const SKIPPED: &str = "validation_skipped";

/// An activity that passed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passed {
    pub remarks: Vec<&'static str>,
    /// Of a draft: its object with what it left to the log to say.
    pub object: Option<Value>,
    /// Of a draft: the terms that its verb and its objects' own types declare for its `@context`, in that order.
    pub terms: Vec<Arc<Terms>>,
    /// What takes effect with the entry.
    pub defines: Option<DefinitionRow>,
}

impl Passed {
    fn learn(&mut self, terms: &Arc<Terms>) {
        if !terms.is_empty() && !self.terms.iter().any(|known| Arc::ptr_eq(known, terms)) {
            self.terms.push(Arc::clone(terms));
        }
    }
}

impl Stages<'_> {
    /// Runs the stages.
    ///
    /// # Errors
    /// [`Code::TypeUnknown`]: an undeclared verb, or a type that is not here in strict mode; [`Code::SchemaRefused`], naming
    /// the field or the refinement, or a term that a type declares otherwise than one on which it stands;
    /// [`Code::Forbidden`]: a local actor defines without the grant.
    pub fn check(&self, document: &Map<String, Value>, speaker: Speaker<'_>) -> Result<Passed, Refusal> {
        let verb = types_of(document).next().unwrap_or_default();
        let kind = Kind::of_verb(verb);
        let mut passed = Passed::default();
        match self.registry.verb(verb) {
            Some(record) => {
                definition::check(document, verb, record.schema())
                    .map_err(|violation| refused(&violation))?;
                if speaker != Speaker::Remote {
                    passed.learn(record.terms());
                }
            }
            // The first verb of all is declared before there is any.
            None if kind.is_some() || !self.registry.has_verbs() => {}
            None => {
                return Err(Refusal::new(
                    Code::TypeUnknown,
                    format!("no verb `{verb}` is declared here"),
                ));
            }
        }
        match kind {
            Some(kind) => self.define(kind, document, speaker, passed),
            None => self.objects(document, speaker, passed),
        }
    }

    /// The records that the stages ask for first, before those whose rules hold too.
    #[must_use]
    pub fn roots(&self, document: &Map<String, Value>, speaker: Speaker<'_>) -> Vec<Cid> {
        let verb = types_of(document).next().unwrap_or_default();
        let embedded = || objects(document).iter().filter_map(Value::as_object);
        match (Kind::of_verb(verb), speaker) {
            (Some(Kind::Type), Speaker::Local(_) | Speaker::Base) => embedded()
                .filter_map(|record| record.get("instanceType")?.as_str()?.parse().ok())
                .collect(),
            (Some(_), _) => Vec::new(),
            (None, Speaker::Remote) => definition::type_cids(document),
            (None, Speaker::Local(_) | Speaker::Base) => {
                let resolved = embedded().take(MAX_OBJECTS).filter_map(|object| {
                    let named = || types_of(object).find_map(|name| self.registry.type_named(name));
                    match definition::type_cid(object) {
                        Ok(Some(cid)) => Some(cid),
                        Ok(None) => named().map(|record| record.cid().clone()),
                        Err(_) => None,
                    }
                });
                resolved.collect()
            }
        }
    }

    fn define(
        &self,
        kind: Kind,
        document: &Map<String, Value>,
        speaker: Speaker<'_>,
        passed: Passed,
    ) -> Result<Passed, Refusal> {
        let broken = |error: definition::DefinitionError| {
            Refusal::new(
                Code::SchemaRefused,
                format!("the object of {}: {error}", kind.verb()),
            )
        };
        let Some(Value::Object(record)) = document.get("object") else {
            let detail = format!("the object of {} is no record", kind.verb());
            return Err(Refusal::new(Code::SchemaRefused, detail));
        };
        match speaker {
            // Data: it binds no name here, and starts nothing.
            Speaker::Remote => {
                Definition::read(kind, record).map_err(broken)?;
                return Ok(passed);
            }
            Speaker::Local(actor) if !self.registry.is_granted(actor) => {
                let detail = format!("{actor} may not define: it lacks the grant `define`");
                return Err(Refusal::new(Code::Forbidden, detail));
            }
            Speaker::Local(_) | Speaker::Base => {}
        }
        let record = Definition::complete(kind, record.clone()).map_err(broken)?;
        let definition = Definition::read(kind, &record).map_err(broken)?;
        if let Definition::Type(record) = &definition {
            let chain = self
                .chain(Arc::new(record.clone()))
                .map_err(|broken| broken.refuse(record.name()))?;
            one_meaning(&chain)?;
        }
        Ok(Passed {
            remarks: vec![DEFINES],
            object: Some(Value::Object(record)),
            defines: Some(row::write(&Said::Record(definition))),
            ..passed
        })
    }

    fn objects(
        &self,
        document: &Map<String, Value>,
        speaker: Speaker<'_>,
        mut passed: Passed,
    ) -> Result<Passed, Refusal> {
        let Some(object) = document.get("object") else {
            return Ok(passed);
        };
        let objects = objects(document);
        if objects.iter().filter(|object| object.is_object()).count() > MAX_OBJECTS {
            let detail = format!("`object` holds more than {MAX_OBJECTS} objects");
            return Err(Refusal::new(Code::SchemaRefused, detail));
        }
        let mut completed = objects.to_vec();
        // They alone say what an object is.
        let derives = matches!(types_of(document).next(), Some("Create" | "Update"));
        for object in completed.iter_mut().filter_map(Value::as_object_mut) {
            match self.object(object, speaker, derives, &mut passed)? {
                Resolved::Unknown if !passed.remarks.contains(&SKIPPED) => passed.remarks.push(SKIPPED),
                Resolved::Named(cid) => drop(object.insert("typeCid".to_owned(), cid.as_str().into())),
                _ => {}
            }
        }
        if completed != objects {
            passed.object = match object {
                Value::Array(_) => Some(Value::Array(completed)),
                _ => completed.pop(),
            };
        }
        Ok(passed)
    }

    /// Checks an object against the types that it names; a local actor's gets first what our own derive for it.
    fn object(
        &self,
        object: &mut Map<String, Value>,
        speaker: Speaker<'_>,
        derives: bool,
        passed: &mut Passed,
    ) -> Result<Resolved, Refusal> {
        let (first, resolved) = match self.resolve(object, speaker)? {
            Ok(found) => found,
            Err(Resolved::Unknown) if self.strict => {
                let name = types_of(object).next().unwrap_or_default();
                let detail = format!("the type of the object `{}` is not known here", short(name));
                return Err(Refusal::new(Code::TypeUnknown, detail));
            }
            Err(resolved) => return Ok(resolved),
        };
        let name = first.name().to_owned();
        let chain = match self.chain(first) {
            Ok(chain) => chain,
            Err(Broken::Missing(_)) if !self.strict => return Ok(Resolved::Unknown),
            Err(broken) => return Err(broken.refuse(&name)),
        };
        // What peers declare is for checks alone.
        let is_own = |record: &&Arc<TypeRecord>| self.registry.type_record(record.cid()).is_some();
        for record in chain.iter().filter(|_| speaker != Speaker::Remote).filter(is_own) {
            passed.learn(record.terms());
            if derives {
                record.schema().derive(object);
            }
        }
        for record in chain {
            definition::check(object, record.name(), record.schema())
                .map_err(|violation| refused(&violation))?;
        }
        Ok(resolved)
    }
}

fn refused(violation: &Violation) -> Refusal {
    Refusal::new(Code::SchemaRefused, violation.to_string())
}

/// A stranger's word, as much of it as a line has room for.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
