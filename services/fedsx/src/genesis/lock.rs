//! `genesis.lock`: the CID of every record and of every object's file of a bundle, so that a change of meaning is seen in a review.

use std::{collections::BTreeMap, fmt};

use super::{Bundle, LOCK};

const HEADER: &str =
    "# The CIDs of this bundle's records, written by `fedsx genesis lock`: edit the YAML, not this.\n";

/// The lock of a bundle: a line a record, `type Article baga…`, sorted.
pub(crate) fn text(bundle: &Bundle) -> String {
    let own = bundle.records.iter().filter(|record| record.is_own);
    let records = own.map(|record| format!("{} {} {}\n", record.kind, record.name, record.cid));
    let objects = bundle.objects.iter();
    let objects = objects.map(|object| format!("object {} {}\n", object.name, object.cid));
    let mut lines: Vec<_> = records.chain(objects).collect();
    lines.sort_unstable();
    format!("{HEADER}{}", lines.concat())
}

/// A lock that does not say what the bundle's files say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Stale {
    bundle: String,
    differences: Vec<String>,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bundle, differences } = self;
        write!(f, "{bundle}/{LOCK} is stale:")?;
        for difference in differences {
            write!(f, "\n  {difference}")?;
        }
        write!(f, "\n`fedsx genesis lock {bundle}` writes it anew")
    }
}

impl Stale {
    /// Compares a bundle with the lock beside it.
    ///
    /// # Errors
    /// [`Stale`], naming every record that differs.
    pub(crate) fn check(bundle: &Bundle) -> Result<(), Self> {
        let expected = text(bundle);
        let found = bundle.source.text(LOCK).unwrap_or_default();
        if found == expected {
            return Ok(());
        }
        let (found, expected) = (read(found), read(&expected));
        let mut differences = Vec::new();
        for (record, cid) in &expected {
            match found.get(record) {
                None => differences.push(format!("{record} is not in it")),
                Some(old) if old != cid => differences.push(format!("{record} is {cid}, and it says {old}")),
                Some(_) => {}
            }
        }
        let gone = found.keys().filter(|record| !expected.contains_key(*record));
        differences.extend(gone.map(|record| format!("{record} is no longer in the bundle")));
        if differences.is_empty() {
            differences.push("its lines are not as they are written".to_owned());
        }
        Err(Self {
            bundle: bundle.source.to_string(),
            differences,
        })
    }
}

/// CIDs by `kind name`.
fn read(lock: &str) -> BTreeMap<&str, &str> {
    let lines = lock.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).collect()
}
