//! `fedsx genesis`: what a domain means, from files to its log.

mod apply;
mod check;
mod diff;
mod lock;

use std::{collections::BTreeSet, path::Path};

use clap::Subcommand;
use fedsx_proto::v1::{ListDefinitionsRequest, ListRowsRequest};
use fedsx_runtime::code::Refusal;

use super::connect::Running;
use crate::genesis::{Bundle, Known, Step, in_folder, seeded};

/// Where bundles lie in a project.
const ROOT: &str = "genesis";

#[derive(Debug, Subcommand)]
pub(crate) enum Genesis {
    /// Read bundles, and tell everything that is wrong by file, line and key; their locks too
    Check(check::Check),
    /// Write the CIDs of bundles' records to genesis.lock
    Lock(lock::Lock),
    /// What a running domain lacks of a bundle
    Diff(diff::Diff),
    /// Publish what a running domain lacks of a bundle, as the domain's own actor
    Apply(apply::Apply),
}

pub(crate) async fn run(genesis: Genesis) -> anyhow::Result<()> {
    match genesis {
        Genesis::Check(check) => check.run(),
        Genesis::Lock(lock) => lock.run(),
        Genesis::Diff(diff) => diff.run().await,
        Genesis::Apply(apply) => apply.run().await,
    }
}

/// The bundles that are named, or else all below `genesis/`.
fn named_or_all(named: Vec<String>) -> anyhow::Result<Vec<String>> {
    if !named.is_empty() {
        return Ok(named);
    }
    let root = Path::new(ROOT);
    let shown = std::path::absolute(root)?;
    let hint = "name the bundle's folder, or change to the folder around it";
    anyhow::ensure!(root.is_dir(), "there is no folder {}: {hint}", shown.display());
    let found = in_folder(root)?;
    anyhow::ensure!(
        !found.is_empty(),
        "no bundle lies below {}: {hint}",
        shown.display()
    );
    Ok(found.iter().map(|folder| folder.display().to_string()).collect())
}

/// What the domain has, of what a bundle has.
async fn known(domain: &mut Running, bundle: &Bundle) -> anyhow::Result<Known> {
    let definitions = domain
        .clients
        .log
        .list_definitions(ListDefinitionsRequest::default())
        .await;
    let definitions = definitions.map_err(Refusal::from)?.into_inner();
    let mut actors = BTreeSet::new();
    let mut request = ListRowsRequest {
        view: "actors".to_owned(),
        limit: 1000,
        at_least: domain.head,
        ..ListRowsRequest::default()
    };
    loop {
        let rows = domain.clients.projection.list_rows(request.clone()).await;
        let rows = rows.map_err(Refusal::from)?.into_inner().rows;
        let Some(last) = rows.last() else { break };
        request.after = last.key.clone();
        actors.extend(rows.into_iter().map(|row| row.key));
    }
    let objects = seeded(&mut domain.clients.log, bundle).await?;
    Ok(Known::new(definitions, actors, objects))
}

/// A step as it is printed.
#[derive(Debug, serde::Serialize)]
struct Shown {
    /// `new`, `changed`, `beyond`; or what became of it: `published`, `found`.
    state: &'static str,
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cid: String,
    /// The CID of the record in whose place it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    /// Of the entry that publishes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

impl Shown {
    fn planned(step: &Step) -> Self {
        let replaces = step.replaces().map(str::to_owned);
        Self {
            state: if replaces.is_some() { "changed" } else { "new" },
            kind: step.kind(),
            name: step.name().to_owned(),
            cid: step.cid().to_owned(),
            replaces,
            position: None,
        }
    }
}
