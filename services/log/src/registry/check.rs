//! The schema stages, which run before every append: the verb's schema, then the object's types. Pure: what is known of
//! types comes in.

use std::{collections::HashMap, sync::Arc};

use fedsx_kernel::{
    activity::types_of,
    cid::Cid,
    definition::{
        self, DEFINES, Definition, Kind, MAX_CHAIN, MAX_OBJECTS, TypeRecord, Violation, is_activitystreams,
        objects,
    },
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Map, Value};

use super::{Registry, row, row::Said};
use crate::store::DefinitionRow;

/// What an entry's `remarks` say where an object's type could not be resolved.
pub const SKIPPED: &str = "validation_skipped";

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker<'a> {
    /// A local actor, of a draft.
    Local(&'a str),
    /// The domain's own base, of a draft: it may always define.
    Base,
    /// An actor of another domain.
    Remote,
}

/// What the stages know.
#[derive(Debug, Clone, Copy)]
pub struct Stages<'a> {
    pub registry: &'a Registry,
    /// Peers' types that the activity names, as far as they are here.
    pub fetched: &'a HashMap<Cid, Arc<TypeRecord>>,
    /// Whether an object whose type cannot be resolved is refused.
    pub strict: bool,
}

/// An activity that passed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passed {
    pub remarks: Vec<&'static str>,
    /// Of a draft: its object with what it left to the log to say.
    pub object: Option<Value>,
    /// What takes effect with the entry.
    pub defines: Option<DefinitionRow>,
}

impl Stages<'_> {
    /// Runs the stages.
    ///
    /// # Errors
    /// [`Code::TypeUnknown`]: an undeclared verb, or a type that is not here in strict mode; [`Code::SchemaRefused`], naming
    /// the field or the refinement; [`Code::Forbidden`]: a local actor defines without the grant.
    pub fn check(&self, document: &Map<String, Value>, speaker: Speaker<'_>) -> Result<Passed, Refusal> {
        let verb = types_of(document).next().unwrap_or_default();
        let kind = Kind::of_verb(verb);
        match self.registry.verb(verb) {
            Some(record) => {
                definition::check(document, verb, record.schema())
                    .map_err(|violation| refused(&violation))?;
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
            Some(kind) => self.define(kind, document, speaker),
            None => self.objects(document, speaker),
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
                return Ok(Passed::default());
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
            self.chain(Arc::new(record.clone()))
                .map_err(|broken| broken.refuse(record.name()))?;
        }
        Ok(Passed {
            remarks: vec![DEFINES],
            object: Some(Value::Object(record)),
            defines: Some(row::write(&Said::Record(definition))),
        })
    }

    fn objects(&self, document: &Map<String, Value>, speaker: Speaker<'_>) -> Result<Passed, Refusal> {
        let mut passed = Passed::default();
        let Some(object) = document.get("object") else {
            return Ok(passed);
        };
        let objects = objects(document);
        if objects.iter().filter(|object| object.is_object()).count() > MAX_OBJECTS {
            let detail = format!("`object` holds more than {MAX_OBJECTS} objects");
            return Err(Refusal::new(Code::SchemaRefused, detail));
        }
        let mut completed = objects.to_vec();
        for (object, completed) in objects.iter().zip(&mut completed) {
            match object
                .as_object()
                .map(|object| self.object(object, speaker))
                .transpose()?
            {
                Some(Resolved::Unknown) if !passed.remarks.contains(&SKIPPED) => passed.remarks.push(SKIPPED),
                Some(Resolved::Named(cid)) => completed["typeCid"] = cid.as_str().into(),
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

    /// Checks an object against the types that it names.
    fn object(&self, object: &Map<String, Value>, speaker: Speaker<'_>) -> Result<Resolved, Refusal> {
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
        for record in chain {
            definition::check(object, record.name(), record.schema())
                .map_err(|violation| refused(&violation))?;
        }
        Ok(resolved)
    }

    /// The type that an object names, by CID or, where a local actor speaks, by a name that is bound here.
    fn resolve(
        &self,
        object: &Map<String, Value>,
        speaker: Speaker<'_>,
    ) -> Result<Result<(Arc<TypeRecord>, Resolved), Resolved>, Refusal> {
        if let Some(cid) = type_cid(object)? {
            let Some(record) = self.record(&cid) else {
                return Ok(Err(Resolved::Unknown));
            };
            if !types_of(object).any(|name| name == record.name()) {
                let detail = format!(
                    "`object.typeCid` is that of `{}`, which `type` does not name",
                    record.name()
                );
                return Err(Refusal::new(Code::SchemaRefused, detail));
            }
            return Ok(Ok((Arc::clone(record), Resolved::Known)));
        }
        if speaker != Speaker::Remote
            && let Some(record) = types_of(object).find_map(|name| self.registry.type_named(name))
        {
            return Ok(Ok((Arc::clone(record), Resolved::Named(record.cid().clone()))));
        }
        let is_known = types_of(object).all(is_activitystreams);
        Ok(Err(if is_known {
            Resolved::Known
        } else {
            Resolved::Unknown
        }))
    }

    /// A record and those whose rules hold too.
    fn chain(&self, first: Arc<TypeRecord>) -> Result<Vec<Arc<TypeRecord>>, Broken> {
        let mut chain = vec![first];
        while let Some(parent) = chain.last().and_then(|record| record.parent()) {
            if chain.len() == MAX_CHAIN {
                return Err(Broken::TooLong);
            }
            let parent = self
                .record(parent)
                .ok_or_else(|| Broken::Missing(parent.clone()))?;
            chain.push(Arc::clone(parent));
        }
        Ok(chain)
    }

    fn record(&self, cid: &Cid) -> Option<&Arc<TypeRecord>> {
        self.registry.type_record(cid).or_else(|| self.fetched.get(cid))
    }
}

/// What became of an object's type.
#[derive(Debug, Clone, PartialEq)]
enum Resolved {
    /// By the CID that it names, or ActivityStreams' own.
    Known,
    /// By a name that stands for this record here.
    Named(Cid),
    Unknown,
}

/// Why a chain of `instanceType` cannot be followed to its end.
#[derive(Debug, Clone, PartialEq)]
enum Broken {
    Missing(Cid),
    TooLong,
}

impl Broken {
    fn refuse(&self, name: &str) -> Refusal {
        match self {
            Self::Missing(cid) => Refusal::new(
                Code::TypeUnknown,
                format!("`{name}` is an instance of {cid}, which is not known here"),
            ),
            Self::TooLong => Refusal::new(
                Code::SchemaRefused,
                format!("`{name}` stands on more than {MAX_CHAIN} records"),
            ),
        }
    }
}

fn type_cid(object: &Map<String, Value>) -> Result<Option<Cid>, Refusal> {
    definition::type_cid(object)
        .map_err(|_| Refusal::new(Code::SchemaRefused, "`object.typeCid` is no CID of a record"))
}

fn refused(violation: &Violation) -> Refusal {
    Refusal::new(Code::SchemaRefused, violation.to_string())
}

/// A stranger's word, as much of it as a line has room for.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
