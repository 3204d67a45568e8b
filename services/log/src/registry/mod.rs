//! The registry: what the domain's own definitions say at a position of the log.
//!
//! Definitions take effect only from a local actor with the `define` grant, and from the entry that publishes them on. The
//! registry is a fold over the rows that such entries leave in the store ([`row`]); a batch catches up with them under the
//! head's lock before anything is decided by it, so that all replicas decide alike.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use fedsx_kernel::{
    cid::Cid,
    definition::{BehaviourRecord, Definition, Kind, ProjectionRecord, SubtypeLink, TypeRecord, VerbRecord},
};

use crate::store::DefinitionRow;

pub mod check;
pub mod checked;
mod current;
mod resolve;
pub mod row;
pub mod stages;
pub mod unique;

pub use current::Current;
use row::Said;

/// What is defined. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// Of the last definition.
    position: u64,
    verbs: HashMap<String, Arc<VerbRecord>>,
    projections: HashMap<String, Arc<ProjectionRecord>>,
    behaviours: HashMap<String, Arc<BehaviourRecord>>,
    /// The types that a name stands for.
    names: HashMap<String, Cid>,
    /// Every type that was ever defined here: what was said by an older record stays readable.
    types: HashMap<Cid, Arc<TypeRecord>>,
    /// The links of the subtype graph.
    links: HashMap<Cid, Arc<SubtypeLink>>,
    /// Where each record took effect; by its name where it has one.
    since: HashMap<(Kind, String), u64>,
    /// Actors beside the base that define.
    granted: BTreeSet<String>,
}

impl Registry {
    /// The position of the last definition, 0 where there is none.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The same with what took effect since.
    ///
    /// # Errors
    /// [`row::Unreadable`]: a row that this version did not write.
    pub fn with(&self, rows: &[DefinitionRow]) -> Result<Self, row::Unreadable> {
        let mut registry = self.clone();
        for row in rows {
            registry.apply(row)?;
        }
        Ok(registry)
    }

    fn apply(&mut self, row: &DefinitionRow) -> Result<(), row::Unreadable> {
        let said = row::read(row)?;
        if let Said::Record(definition) = &said {
            self.since.insert(key_of(definition), row.position);
        }
        match said {
            Said::Grant { actor, defines: true } => drop(self.granted.insert(actor)),
            Said::Grant {
                actor,
                defines: false,
            } => drop(self.granted.remove(&actor)),
            Said::Record(Definition::Type(record)) => {
                self.names.insert(record.name().to_owned(), record.cid().clone());
                self.types.insert(record.cid().clone(), Arc::new(record));
            }
            Said::Record(Definition::Verb(record)) => {
                self.verbs.insert(record.name().to_owned(), Arc::new(record));
            }
            Said::Record(Definition::Projection(record)) => {
                self.projections
                    .insert(record.name().to_owned(), Arc::new(record));
            }
            Said::Record(Definition::Behaviour(record)) => {
                self.behaviours.insert(record.name().to_owned(), Arc::new(record));
            }
            Said::Record(Definition::Subtype(link)) => {
                self.links.insert(link.cid().clone(), Arc::new(link));
            }
        }
        self.position = row.position;
        Ok(())
    }

    /// Whether any verb is declared. A log that declares none admits all: nobody has said yet what it means.
    #[must_use]
    pub fn has_verbs(&self) -> bool {
        !self.verbs.is_empty()
    }

    #[must_use]
    pub fn verb(&self, name: &str) -> Option<&Arc<VerbRecord>> {
        self.verbs.get(name)
    }

    /// The type that a name stands for.
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<&Arc<TypeRecord>> {
        self.names.get(name).and_then(|cid| self.types.get(cid))
    }

    #[must_use]
    pub fn type_record(&self, cid: &Cid) -> Option<&Arc<TypeRecord>> {
        self.types.get(cid)
    }

    /// The records of others that types defined here stand on, and the name of one that does.
    pub fn foreign_parents(&self) -> impl Iterator<Item = (&Cid, &str)> {
        let parents = self.types.values().filter_map(|record| {
            let parent = record.parent()?;
            Some((parent, record.name()))
        });
        parents.filter(|(parent, _)| !self.types.contains_key(parent))
    }

    /// Whether a local actor beside the base may define.
    #[must_use]
    pub fn is_granted(&self, actor: &str) -> bool {
        self.granted.contains(actor)
    }

    /// Actors beside the base that define, in order.
    pub fn granted(&self) -> impl Iterator<Item = &str> {
        self.granted.iter().map(String::as_str)
    }

    /// Everything in effect, by kind and name.
    #[must_use]
    pub fn in_effect(&self) -> Vec<InEffect<'_>> {
        let types = self.names.keys().filter_map(|name| self.type_named(name));
        let types = types.map(|record| (Kind::Type, record.name(), record.cid(), record.canonical()));
        let verbs = self.verbs.values();
        let verbs = verbs.map(|record| (Kind::Verb, record.name(), record.cid(), record.canonical()));
        let projections = self.projections.values();
        let projections =
            projections.map(|record| (Kind::Projection, record.name(), record.cid(), record.canonical()));
        let behaviours = self.behaviours.values();
        let behaviours =
            behaviours.map(|record| (Kind::Behaviour, record.name(), record.cid(), record.canonical()));
        let links = self.links.values();
        let links = links.map(|link| (Kind::Subtype, "", link.cid(), link.canonical()));
        let all = types
            .chain(verbs)
            .chain(projections)
            .chain(behaviours)
            .chain(links);
        let mut all: Vec<_> = all
            .map(|(kind, name, cid, canonical)| InEffect {
                kind,
                name,
                cid,
                canonical,
                since: self.since(kind, name, cid),
            })
            .collect();
        all.sort_unstable_by_key(|found| (found.kind, found.name, found.cid.as_str()));
        all
    }

    fn since(&self, kind: Kind, name: &str, cid: &Cid) -> u64 {
        let key = if name.is_empty() { cid.as_str() } else { name };
        self.since
            .get(&(kind, key.to_owned()))
            .copied()
            .unwrap_or_default()
    }
}

/// A record in effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InEffect<'a> {
    pub kind: Kind,
    /// Empty for a link of the subtype graph.
    pub name: &'a str,
    pub cid: &'a Cid,
    pub canonical: &'a [u8],
    /// The position of the entry that brought it into effect.
    pub since: u64,
}

fn key_of(definition: &Definition) -> (Kind, String) {
    let key = definition.name().unwrap_or(definition.cid().as_str());
    (definition.kind(), key.to_owned())
}
