//! What a domain lacks of a bundle. Pure: what the domain has comes in.

use std::collections::{BTreeMap, BTreeSet};

use fedsx_kernel::{definition::Kind, origin::Origin};
use fedsx_proto::v1::ListDefinitionsResponse;

use super::{Actor, Bundle, Object, Record, Seeded, Undeclared};

/// What a domain has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// By kind and name; links by their CID.
    in_effect: BTreeMap<(Kind, String), InEffect>,
    /// Ids of actors that define.
    granted: BTreeSet<String>,
    /// Of the last definition.
    position: u64,
    /// Ids of its actors, as far as they are known.
    actors: BTreeSet<String>,
    /// What was published of the bundle's objects, by their names.
    objects: BTreeMap<String, Seeded>,
}

/// A record in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InEffect {
    pub(crate) cid: String,
    /// Where it took effect.
    pub(crate) position: u64,
}

/// Something to publish.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Define {
        record: Record,
        /// What its name stands for so far.
        replaces: Option<InEffect>,
    },
    Create(Actor),
    Grant {
        actor: String,
        /// The position of the last definition when the grant was found to be missing.
        after: u64,
    },
    Publish {
        object: Object,
        /// What was published of it.
        known: Option<Seeded>,
    },
}

impl Known {
    pub(crate) fn new(
        answer: ListDefinitionsResponse,
        actors: BTreeSet<String>,
        objects: BTreeMap<String, Seeded>,
    ) -> Self {
        let mut in_effect = BTreeMap::new();
        for found in answer.definitions {
            let Some(kind) = Kind::parse(&found.kind) else {
                continue;
            };
            let name = if found.name.is_empty() {
                found.cid.clone()
            } else {
                found.name
            };
            let (cid, position) = (found.cid, found.position);
            in_effect.insert((kind, name), InEffect { cid, position });
        }
        Self {
            in_effect,
            granted: answer.granted.into_iter().collect(),
            position: answer.position,
            actors,
            objects,
        }
    }

    /// Whether the domain has declared a name.
    pub(crate) fn declares(&self, named: &Undeclared, origin: &Origin) -> bool {
        match named.what.kind() {
            Some(kind) => self.in_effect.contains_key(&(kind, named.name.clone())),
            None => self.actors.contains(&origin.actor(&named.name)),
        }
    }

    fn of(&self, record: &Record) -> Option<&InEffect> {
        let name = match record.kind {
            Kind::Subtype => record.cid.as_str(),
            Kind::Type | Kind::Verb | Kind::Projection | Kind::Behaviour => &record.name,
        };
        self.in_effect.get(&(record.kind, name.to_owned()))
    }
}

/// What is to be published, in order: definitions, each after those that it names, then actors, grants, and objects.
pub(crate) fn steps(bundle: &Bundle, known: &Known, origin: &Origin) -> Vec<Step> {
    let mut steps = Vec::new();
    for record in &bundle.records {
        let replaces = known.of(record).cloned();
        if replaces
            .as_ref()
            .is_none_or(|found| found.cid != record.cid.as_str())
        {
            let record = record.clone();
            steps.push(Step::Define { record, replaces });
        }
    }
    let actors = bundle.manifest.iter().flat_map(|manifest| &manifest.actors);
    for actor in actors
        .clone()
        .filter(|actor| !known.actors.contains(&origin.actor(&actor.name)))
    {
        steps.push(Step::Create(actor.clone()));
    }
    for actor in actors.filter(|actor| actor.defines) {
        let actor = origin.actor(&actor.name);
        if !known.granted.contains(&actor) {
            let after = known.position;
            steps.push(Step::Grant { actor, after });
        }
    }
    for object in &bundle.objects {
        let known = known.objects.get(&object.name).cloned();
        if known.as_ref().and_then(Seeded::last) != Some(object.cid.as_str()) {
            let object = object.clone();
            steps.push(Step::Publish { object, known });
        }
    }
    steps
}

/// What is in effect and not in a bundle: kind, name and CID. It stays; nothing takes a definition back.
pub(crate) fn beyond(bundle: &Bundle, known: &Known) -> Vec<(Kind, String, String)> {
    let is_of_bundle = |kind: Kind, name: &str| {
        let mut records = bundle.records.iter().filter(|record| record.kind == kind);
        records.any(|record| record.name == name || record.cid.as_str() == name)
    };
    let all = known.in_effect.iter();
    all.filter(|((kind, name), _)| !is_of_bundle(*kind, name))
        .map(|((kind, name), found)| (*kind, name.clone(), found.cid.clone()))
        .collect()
}

impl Step {
    /// `type`, `subtype`, `verb`, `projection`, `actor`, `grant` or `object`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Define { record, .. } => record.kind.as_str(),
            Self::Create(_) => "actor",
            Self::Grant { .. } => "grant",
            Self::Publish { .. } => "object",
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Define { record, .. } => &record.name,
            Self::Create(actor) => &actor.name,
            Self::Grant { actor, .. } => actor,
            Self::Publish { object, .. } => &object.name,
        }
    }

    /// The CID of the record or of the object's file; empty where it is neither.
    pub(crate) fn cid(&self) -> &str {
        match self {
            Self::Define { record, .. } => record.cid.as_str(),
            Self::Publish { object, .. } => object.cid.as_str(),
            Self::Create(_) | Self::Grant { .. } => "",
        }
    }

    /// The CID of what stands in its place so far.
    pub(crate) fn replaces(&self) -> Option<&str> {
        match self {
            Self::Define { replaces, .. } => replaces.as_ref().map(|found| found.cid.as_str()),
            Self::Publish { known, .. } => known.as_ref().and_then(Seeded::last),
            Self::Create(_) | Self::Grant { .. } => None,
        }
    }

    /// What has to be published before: steps of one rank know nothing of each other.
    pub(super) fn rank(&self) -> usize {
        match self {
            Self::Define { record, .. } if record.kind == Kind::Type => record.depth,
            Self::Define { .. } => 100,
            Self::Create(_) => 101,
            Self::Grant { .. } => 102,
            Self::Publish { .. } => 103,
        }
    }
}
