//! `fedsx genesis apply`: publishes what a running domain lacks of a bundle.

use clap::Args;

use super::Shown;
use crate::{
    commands::connect::Target,
    genesis::{Bundle, Done, Manner, apply, steps},
};

/// Publishes what a running domain lacks of a bundle, or of a folder of definitions, as the domain's own actor: types
/// (`DefineType`, `SubtypeOf`) before those that name them, verbs (`DefineActivity`), actors, grants, objects. It takes
/// effect with the entry. An object whose file has changed is published as an Update, whoever has changed it meanwhile. The
/// same again publishes nothing, also where two apply it at the same time. What is in effect and not in the bundle stays. Verbs,
/// types, views and actors that behaviours and projections name are to be declared by the bundle or the domain.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A built-in bundle's name (blog), or a folder (genesis/core/runtime-verbs)
    #[arg(value_name = "BUNDLE", env = "FEDSX_BUNDLE")]
    bundle: String,
    /// Publish nothing; print what would be
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: Target,
}

impl Apply {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let bundle = Bundle::open(&self.bundle)?;
        let mut domain = self.target.open().await?;
        let known = super::known(&mut domain, &bundle).await?;
        bundle.declared(|named| known.declares(named, &domain.origin))?;
        let steps = steps(&bundle, &known, &domain.origin);
        let shown: Vec<_> = if self.dry_run {
            steps.iter().map(Shown::planned).collect()
        } else {
            let done = apply(&domain.clients.log, &domain.origin, steps, Manner::Again).await?;
            done.iter().map(|(step, done)| shown(step, *done)).collect()
        };
        if shown.is_empty() && !domain.output.json {
            return domain.output.one(&shown, || {
                format!("{} has all of {} in effect", domain.origin, bundle.source)
            });
        }
        domain
            .output
            .many(["STATE", "KIND", "NAME", "CID", "POSITION"], &shown, |row| {
                let position = row
                    .position
                    .map_or("-".to_owned(), |position| position.to_string());
                let cid = if row.cid.is_empty() { "-" } else { &row.cid };
                [
                    row.state.to_owned(),
                    row.kind.to_owned(),
                    row.name.clone(),
                    cid.to_owned(),
                    position,
                ]
            })
    }
}

fn shown(step: &crate::genesis::Step, done: Done) -> Shown {
    let (state, position) = match done {
        Done::Published(position) => ("published", Some(position)),
        Done::Found | Done::Left => ("found", None),
    };
    Shown {
        state,
        position,
        ..Shown::planned(step)
    }
}
