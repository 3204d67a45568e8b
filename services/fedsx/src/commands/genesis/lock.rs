//! `fedsx genesis lock`: what a bundle's files say, by CID.

use anyhow::Context as _;
use clap::Args;

use crate::{
    commands::output::print,
    genesis::{Bundle, LOCK, lock_text},
};

/// Compiles bundles and writes genesis.lock beside each: a line a record, `type Article baga…`. Commit it: a change of
/// meaning is then seen where changes are reviewed.
#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// Folders; none: all below genesis/
    #[arg(value_name = "BUNDLE")]
    bundles: Vec<String>,
}

impl Lock {
    pub(super) fn run(self) -> anyhow::Result<()> {
        for name in super::named_or_all(self.bundles)? {
            let bundle = Bundle::open(&name)?;
            bundle.stands_alone()?;
            let folder = bundle.source.on_disk();
            let folder =
                folder.with_context(|| format!("{name:?} is built in: name its folder, genesis/{name}"))?;
            let path = folder.join(LOCK);
            let text = lock_text(&bundle);
            let told = match std::fs::read_to_string(&path) {
                Ok(found) if found == text => "is fresh",
                _ => {
                    std::fs::write(&path, text)
                        .with_context(|| format!("{} cannot be written", path.display()))?;
                    "is written"
                }
            };
            print(&format!("{} {told}", path.display()))?;
        }
        Ok(())
    }
}
