//! `fedsx genesis check`: nothing is wrong in a bundle, and its lock says what its files say.

use clap::Args;

use crate::{
    commands::output::print,
    genesis::{Bundle, Stale},
};

/// Compiles bundles and compares each with its genesis.lock. Exits with 1, and tells everything that is wrong, by file, line
/// and key, where something is; also verbs, types, views and actors that behaviours and projections name, and neither the bundle
/// nor one that it includes declares. What a folder of definitions alone names, `apply` checks by the domain.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Folders, or names of built-in bundles; none: all below genesis/
    #[arg(value_name = "BUNDLE")]
    bundles: Vec<String>,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut wrong = Vec::new();
        for name in super::named_or_all(self.bundles)? {
            match check(&name) {
                Ok(records) => print(&format!("{name}: {records} records and objects, as locked"))?,
                Err(error) => wrong.push(format!("{error:#}")),
            }
        }
        anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }
}

/// Checks one, and counts its records and objects.
fn check(name: &str) -> anyhow::Result<usize> {
    let bundle = Bundle::open(name)?;
    bundle.stands_alone()?;
    Stale::check(&bundle)?;
    let own = bundle.records.iter().filter(|record| record.is_own);
    Ok(own.count() + bundle.objects.len())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::genesis::in_folder;

    #[test]
    fn what_is_shipped_is_sound_and_its_locks_are_fresh() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../genesis");
        let mut checked = Vec::new();
        for folder in in_folder(&root).unwrap() {
            let records = check(&folder.display().to_string()).unwrap_or_else(|error| panic!("{error:#}"));
            assert!(records > 0, "{}", folder.display());
            checked.push(folder.strip_prefix(&root).unwrap().display().to_string());
        }
        assert_eq!(
            checked,
            [
                "blog",
                "core",
                "core/runtime-verbs",
                "core/runtime-views",
                "events"
            ]
        );
        // What the binary carries is the same.
        for name in checked {
            check(&name).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}
