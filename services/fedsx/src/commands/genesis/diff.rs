//! `fedsx genesis diff`: what a running domain lacks of a bundle.

use clap::Args;

use super::Shown;
use crate::{
    commands::connect::Target,
    genesis::{Bundle, beyond, steps},
};

/// Compares a bundle, or a folder of definitions, with what a running domain has in effect: `new` is not there, `changed`
/// stands under its name with another CID, `beyond` is in effect and not in the bundle, and stays so. Prints nothing else.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A built-in bundle's name (blog), or a folder (genesis/core/runtime-verbs)
    #[arg(value_name = "BUNDLE", env = "FEDSX_BUNDLE")]
    bundle: String,
    #[command(flatten)]
    target: Target,
}

impl Diff {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let bundle = Bundle::open(&self.bundle)?;
        let mut domain = self.target.open().await?;
        let known = super::known(&mut domain, &bundle).await?;
        let steps = steps(&bundle, &known, &domain.origin);
        let mut shown: Vec<_> = steps.iter().map(Shown::planned).collect();
        // Definitions alone do not say what a domain has beside them.
        if bundle.manifest.is_some() {
            let beyond = beyond(&bundle, &known);
            shown.extend(beyond.into_iter().map(|(kind, name, cid)| Shown {
                state: "beyond",
                kind: kind.as_str(),
                name,
                cid,
                replaces: None,
                position: None,
            }));
        }
        if shown.is_empty() && !domain.output.json {
            return domain.output.one(&shown, || {
                format!("{} has all of {} in effect", domain.origin, bundle.source)
            });
        }
        domain
            .output
            .many(["STATE", "KIND", "NAME", "CID", "IN EFFECT"], &shown, |row| {
                let or_dash = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
                [
                    row.state.to_owned(),
                    row.kind.to_owned(),
                    row.name.clone(),
                    or_dash(&row.cid),
                    or_dash(row.replaces.as_deref().unwrap_or_default()),
                ]
            })
    }
}
