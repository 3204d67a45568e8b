//! The log as the requests of a batch find it: the facts, and what those before them in the batch have added.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use fedsx_kernel::key::SigningKey;
use fedsx_proto::v1::{KvChange, KvConflict};

use super::{NewActorKey, Outcome, Plan, Planned, Signer};
use crate::store::{Facts, KEY_SPACE, KvRow, Name};

#[derive(Debug)]
pub(super) struct State<'f> {
    facts: &'f Facts,
    entries: Vec<Planned>,
    /// Versions of the streams that the batch has written.
    versions: HashMap<String, u64>,
    /// Names that the batch has given, and to which entry.
    names: HashMap<Name, usize>,
    kv: BTreeMap<(String, String), KvRow>,
    kv_version: u64,
    signers: HashMap<String, Arc<SigningKey>>,
}

impl<'f> State<'f> {
    /// The state before the first request, with room for so many entries.
    pub(super) fn new(facts: &'f Facts, entries: usize) -> Self {
        Self {
            facts,
            entries: Vec::with_capacity(entries),
            versions: HashMap::new(),
            names: HashMap::with_capacity(2 * entries),
            kv: BTreeMap::new(),
            kv_version: facts.head.kv_version,
            signers: HashMap::new(),
        }
    }

    pub(super) fn into_plan(self, outcomes: Vec<Outcome>) -> Plan {
        Plan {
            outcomes,
            entries: self.entries,
            kv: self.kv,
            kv_version: self.kv_version,
        }
    }

    /// The stream's version.
    pub(super) fn version(&self, stream: &str) -> u64 {
        let stored = || self.facts.streams.get(stream).map_or(0, |row| row.version);
        self.versions.get(stream).copied().unwrap_or_else(stored)
    }

    /// The entry that has this name, as the outcome of asking for it again.
    pub(super) fn duplicate(&self, name: &Name) -> Option<Outcome> {
        let stored = self.facts.placed.get(name).cloned().map(Outcome::Duplicate);
        stored.or_else(|| self.names.get(name).copied().map(Outcome::DuplicateInBatch))
    }

    /// The key that an actor signs with; none where there is no such actor.
    pub(super) fn signer(&self, actor: &str) -> Option<Signer> {
        let stored = self.facts.signing_keys.get(actor).cloned().map(Signer::Stored);
        stored.or_else(|| self.signers.get(actor).cloned().map(Signer::New))
    }

    /// The first change whose compare-and-set loses.
    pub(super) fn kv_conflict(&self, changes: &[KvChange]) -> Option<KvConflict> {
        changes.iter().find_map(|change| {
            let version = self.kv_version_of(change);
            let expected = change.expected_version.unwrap_or(version);
            (expected != version).then(|| KvConflict {
                space: change.space.clone(),
                key: change.key.clone(),
                version,
            })
        })
    }

    fn kv_version_of(&self, change: &KvChange) -> u64 {
        let key = (change.space.clone(), change.key.clone());
        match self.kv.get(&key) {
            Some(row) => row.value.as_ref().map_or(0, |_| row.version),
            None => self.facts.kv.get(&key).copied().unwrap_or(0),
        }
    }

    /// Makes the changes. Their compare-and-set holds already.
    pub(super) fn change(&mut self, changes: &[KvChange]) {
        for change in changes {
            self.kv_version += 1;
            let row = KvRow {
                space: change.space.clone(),
                key: change.key.clone(),
                version: self.kv_version,
                value: change.value.clone(),
            };
            self.kv.insert((change.space.clone(), change.key.clone()), row);
        }
    }

    /// Makes an actor's key known, to be stored and to sign with at once.
    pub(super) fn add_signer(&mut self, new: &NewActorKey) {
        self.change(&[KvChange {
            space: KEY_SPACE.to_owned(),
            key: new.actor.clone(),
            value: Some(new.sealed.clone()),
            expected_version: None,
        }]);
        self.signers.insert(new.actor.clone(), Arc::clone(&new.key));
    }

    /// Adds an entry at the stream's next version, known by these names, and tells its place in the plan.
    pub(super) fn add(&mut self, names: impl IntoIterator<Item = Name>, entry: Planned) -> usize {
        let index = self.entries.len();
        match self.versions.get_mut(&entry.stream) {
            Some(version) => *version = entry.version,
            None => drop(self.versions.insert(entry.stream.clone(), entry.version)),
        }
        self.names.extend(names.into_iter().map(|name| (name, index)));
        self.entries.push(entry);
        index
    }
}
