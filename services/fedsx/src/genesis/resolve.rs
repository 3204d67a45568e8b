//! What types name by name becomes CIDs, and links.

use std::collections::BTreeMap;

use fedsx_kernel::definition::{Definition, Kind, MAX_CHAIN};
use serde_json::{Value, json};

use super::{
    Record,
    problem::Problems,
    record::{INSTANCE_TYPE, Written, key_of_parent},
};

/// Resolves what types name, round by round: a record's CID is known when those that it names have theirs.
pub(super) struct Resolver {
    /// Of the bundles below at first.
    pub(super) records: Vec<Record>,
    pub(super) problems: Problems,
    pub(super) unresolved: Vec<Written>,
}

impl Resolver {
    /// Every record that is sound, each after those that it names; and the problems, those that were known already and what
    /// is wrong in the files.
    pub(super) fn run(mut self) -> (Vec<Record>, Problems) {
        let all = self.unresolved.clone();
        let declared: Vec<_> = all.iter().filter(|written| written.kind == Kind::Type).collect();
        let is_declared = |name: &str| declared.iter().any(|written| written.name() == Some(name));
        loop {
            let awaits = |written: &Written| {
                let name = below(written).filter(|name| is_declared(name))?;
                self.type_named(name).is_none().then_some(())
            };
            let (waiting, ready): (Vec<_>, Vec<_>) = self
                .unresolved
                .iter()
                .cloned()
                .partition(|written| awaits(written).is_some());
            self.unresolved = waiting;
            if ready.is_empty() {
                break;
            }
            for written in &ready {
                self.take(written);
            }
        }
        for written in std::mem::take(&mut self.unresolved) {
            self.stuck(&written, &all);
        }
        for written in &all {
            self.link(written, is_declared);
        }
        (self.records, self.problems)
    }

    fn type_named(&self, name: &str) -> Option<&Record> {
        let mut types = self.records.iter().filter(|record| record.kind == Kind::Type);
        types.find(|record| record.name == name)
    }

    fn take(&mut self, written: &Written) {
        let mut record = written.record.clone();
        let mut depth = 0;
        if let Some(below) = below(written).and_then(|name| self.type_named(name)) {
            depth = below.depth + 1;
            record.insert(INSTANCE_TYPE.to_owned(), below.cid.as_str().into());
        }
        if depth >= MAX_CHAIN {
            let text = format!("stands on more than {MAX_CHAIN} records");
            self.problems.push(written.document.problem(INSTANCE_TYPE, text));
        }
        if let Some((definition, document)) = written.complete(&record, &mut self.problems) {
            self.records.push(Record {
                kind: written.kind,
                name: definition.name().unwrap_or_default().to_owned(),
                cid: definition.cid().clone(),
                document,
                depth,
                is_own: true,
            });
        }
    }

    /// A type whose `instanceType` has no CID: that one is wrong, or they go round in a circle.
    fn stuck(&mut self, written: &Written, all: &[Written]) {
        if circle(written, all) {
            let text = "stands on the type itself, by way of the others";
            self.problems.push(written.document.problem(INSTANCE_TYPE, text));
        }
        // What else is wrong in it is told too.
        let mut record = written.record.clone();
        record.remove(INSTANCE_TYPE);
        written.complete(&record, &mut self.problems);
    }

    /// The links of a type to those that it is a subtype of.
    fn link(&mut self, written: &Written, is_declared: impl Fn(&str) -> bool) {
        for (index, parent) in written.subtype_of.iter().enumerate() {
            let ends = written
                .name()
                .and_then(|name| self.type_named(name))
                .zip(self.type_named(parent));
            let Some((child, parent)) = ends else {
                if !is_declared(parent) && self.type_named(parent).is_none() {
                    let text = format!("is {parent:?}, which no type of this bundle is named");
                    self.problems
                        .push(written.document.problem(&key_of_parent(index), text));
                }
                continue;
            };
            let name = format!("{}:{}", child.name, parent.name);
            let link = json!({ "childTypeCid": child.cid, "parentTypeCid": parent.cid });
            let document = link.as_object().cloned().unwrap_or_default();
            match Definition::read(Kind::Subtype, &document) {
                Ok(definition) => self.records.push(Record {
                    kind: Kind::Subtype,
                    name,
                    cid: definition.cid().clone(),
                    document,
                    depth: 0,
                    is_own: true,
                }),
                Err(error) => {
                    let key = key_of_parent(index);
                    self.problems.push(written.document.problem(&key, error.problem));
                }
            }
        }
    }
}

/// What a type's `instanceType` says, but for its own name: that is ActivityStreams' type of the same name.
fn below(written: &Written) -> Option<&str> {
    let name = written.record.get(INSTANCE_TYPE).and_then(Value::as_str);
    name.filter(|name| written.kind == Kind::Type && Some(*name) != written.name())
}

/// Whether the way by `instanceType` comes back to where it began.
fn circle(written: &Written, all: &[Written]) -> bool {
    let named: BTreeMap<_, _> = all
        .iter()
        .filter(|other| other.kind == Kind::Type)
        .filter_map(|other| Some((other.name()?, other)))
        .collect();
    let mut name = below(written);
    for _ in all {
        if name == written.name() {
            return true;
        }
        name = name
            .and_then(|name| named.get(name))
            .and_then(|other| below(other));
    }
    false
}
