//! The simplest log that there is: one request at a time, over lists.

use std::collections::BTreeMap;

use fedsx_proto::v1::KvChange;
use fedsx_runtime::code::Code;

pub(super) const STREAMS: [&str; 2] = [
    "inbox/https://events.example/actors/bob",
    "inbox/https://shop.example/actors/eve",
];

#[derive(Debug, Clone)]
pub(super) enum Op {
    Append {
        stream: usize,
        expected: Option<u64>,
        texts: Vec<u8>,
        kv: Option<Change>,
    },
    Publish {
        actor: &'static str,
        key: Option<u8>,
        creates: Option<&'static str>,
        sound: bool,
        kv: Option<Change>,
    },
    Change(Change),
}

#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) key: u8,
    pub(super) put: bool,
    /// The version that is there, less this many; none: whatever is there.
    pub(super) behind: Option<u64>,
}

/// What the model answers; entries by position and version.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expect {
    Appended(u64, u64),
    Duplicate(u64, u64),
    Conflict(u64),
    KvConflict(u64),
    Changed,
    Refused(Code),
}

/// One log, one request at a time.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Stream, names.
    pub(super) entries: Vec<(String, Vec<String>)>,
    pub(super) kv: BTreeMap<u8, u64>,
    pub(super) kv_version: u64,
    actors: Vec<&'static str>,
}

impl Model {
    fn version(&self, stream: &str) -> u64 {
        self.entries
            .iter()
            .filter(|(of, _)| of == stream)
            .count()
            .try_into()
            .unwrap()
    }

    fn find(&self, stream: &str, name: &str) -> Option<(u64, u64)> {
        let index = self
            .entries
            .iter()
            .position(|(of, names)| of == stream && names.iter().any(|n| n == name))?;
        let version = self.entries[..=index]
            .iter()
            .filter(|(of, _)| of == stream)
            .count();
        Some((u64::try_from(index).unwrap() + 1, version.try_into().unwrap()))
    }

    fn add(&mut self, stream: &str, names: Vec<String>) -> Expect {
        self.entries.push((stream.to_owned(), names));
        Expect::Appended(self.entries.len().try_into().unwrap(), self.version(stream))
    }

    fn conflict(&self, change: Option<&KvChange>) -> Option<Expect> {
        let change = change?;
        let there = self.kv.get(&change.key.parse().unwrap()).copied().unwrap_or(0);
        change
            .expected_version
            .filter(|expected| *expected != there)
            .map(|_| Expect::KvConflict(there))
    }

    fn change(&mut self, change: Option<&KvChange>) {
        let Some(change) = change else { return };
        self.kv_version += 1;
        let key = change.key.parse().unwrap();
        match change.value {
            Some(_) => self.kv.insert(key, self.kv_version),
            None => self.kv.remove(&key),
        };
    }

    pub(super) fn apply(&mut self, op: &Op, kv: Option<&KvChange>) -> Expect {
        match op {
            Op::Append {
                stream,
                expected,
                texts,
                ..
            } => self.append(STREAMS[*stream], *expected, texts, kv),
            Op::Publish {
                actor,
                key,
                creates,
                sound,
                ..
            } => self.publish(actor, *key, *creates, *sound, kv),
            Op::Change(_) => self.conflict(kv).unwrap_or_else(|| {
                self.change(kv);
                Expect::Changed
            }),
        }
    }

    fn append(&mut self, stream: &str, expected: Option<u64>, texts: &[u8], kv: Option<&KvChange>) -> Expect {
        let found: Vec<_> = texts
            .iter()
            .filter_map(|text| self.find(stream, &text.to_string()))
            .collect();
        if let Some((position, version)) = found.last().filter(|_| found.len() == texts.len()) {
            return Expect::Duplicate(*position, *version);
        }
        if !found.is_empty() {
            return Expect::Refused(Code::AlreadyExists);
        }
        if expected.is_some_and(|expected| expected != self.version(stream)) {
            return Expect::Conflict(self.version(stream));
        }
        if let Some(conflict) = self.conflict(kv) {
            return conflict;
        }
        self.change(kv);
        let added: Vec<_> = texts
            .iter()
            .map(|text| self.add(stream, vec![text.to_string()]))
            .collect();
        added.last().unwrap().clone()
    }

    fn publish(
        &mut self,
        actor: &str,
        key: Option<u8>,
        creates: Option<&'static str>,
        sound: bool,
        kv: Option<&KvChange>,
    ) -> Expect {
        let stream = format!("outbox/{actor}");
        let name = key.map(|key| format!("key {key}"));
        if let Some((position, version)) = name.as_ref().and_then(|name| self.find(&stream, name)) {
            return Expect::Duplicate(position, version);
        }
        if creates.is_some_and(|new| self.actors.contains(&new)) {
            return Expect::Refused(Code::AlreadyExists);
        }
        if !self.actors.contains(&actor) && creates != Some(actor) {
            return Expect::Refused(Code::NotFound);
        }
        if let Some(conflict) = self.conflict(kv) {
            return conflict;
        }
        if !sound {
            return Expect::Refused(Code::Malformed);
        }
        self.change(kv);
        if let Some(new) = creates {
            self.kv_version += 1;
            self.actors.push(new);
        }
        self.add(&stream, name.into_iter().collect())
    }
}
