//! `fedsx snapshots`: what a view begins with whose database was lost.

mod export;
mod import;

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use fedsx_kernel::{cid::Cid, snapshot::Kept};
use fedsx_projection::snapshot::{Vault, VaultError};
use fedsx_proto::v1::{ListViewsRequest, TakeSnapshotRequest, TakeSnapshotResponse};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Value, json};

use super::{
    connect::{Running, Target},
    output::moment,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Snapshots {
    /// List the snapshots that are kept
    List(List),
    /// Take snapshots now, beside those that the projection takes by itself
    Take(Take),
    /// Write a snapshot to a file
    Export(export::Export),
    /// Keep a snapshot from a file, checked: a view that begins anew begins with the farthest that is kept
    Import(import::Import),
    /// Drop a snapshot, and what of it no other one has
    Drop(DropOne),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Take {
    /// Views by name; none: all that serve
    #[arg(value_name = "VIEW")]
    views: Vec<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct DropOne {
    /// The snapshot's CID
    cid: Cid,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(snapshots: Snapshots) -> anyhow::Result<()> {
    match snapshots {
        Snapshots::List(list) => list.run().await,
        Snapshots::Take(take) => take.run().await,
        Snapshots::Export(export) => export.run().await,
        Snapshots::Import(import) => import.run().await,
        Snapshots::Drop(drop) => drop.run().await,
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let names = names(&mut domain).await?;
        let mut rows: Vec<Value> = Vec::new();
        for (view, known) in vault(&domain).list().await.map_err(refusal)? {
            let name = names.get(&view).unwrap_or(&view);
            rows.extend(known.snapshots.iter().map(|kept| as_json(name, &view, kept)));
        }
        // The farthest of a view stays the first of its own.
        rows.sort_by(|one, other| one["view"].as_str().cmp(&other["view"].as_str()));
        let heading = ["VIEW", "POSITION", "ROWS", "BYTES", "TAKEN", "CID"];
        domain.output.many(heading, &rows, |row| {
            let number = |key: &str| row[key].to_string();
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let taken = text("at")
                .parse()
                .map_or(0, |at: jiff::Timestamp| at.as_millisecond());
            [
                text("view"),
                number("position"),
                number("rows"),
                number("bytes"),
                moment(taken),
                text("cid"),
            ]
        })
    }
}

fn as_json(name: &str, view: &str, kept: &Kept) -> Value {
    json!({
        "view": name, "id": view, "cid": kept.cid, "position": kept.position, "rows": kept.rows, "bytes": kept.bytes,
        "at": kept.at,
    })
}

impl Take {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let views: BTreeSet<String> = match self.views.is_empty() {
            true => names(&mut domain).await?.into_values().collect(),
            false => self.views.into_iter().collect(),
        };
        let mut taken = Vec::new();
        for view in views {
            let request = TakeSnapshotRequest { view: view.clone() };
            let answer = domain.clients.projection.take_snapshot(request).await;
            let TakeSnapshotResponse {
                cid,
                position,
                rows,
                bytes,
            } = answer.map_err(Refusal::from)?.into_inner();
            taken.push(json!({"view": view, "cid": cid, "position": position, "rows": rows, "bytes": bytes}));
        }
        let heading = ["VIEW", "POSITION", "ROWS", "BYTES", "CID"];
        domain.output.many(heading, &taken, |row| {
            ["view", "position", "rows", "bytes", "cid"].map(|key| match &row[key] {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            })
        })
    }
}

impl DropOne {
    async fn run(self) -> anyhow::Result<()> {
        let domain = self.target.open().await?;
        let vault = vault(&domain);
        let (view, kept) = find(&vault, self.cid.as_str()).await?;
        vault.drop(&view, &kept.cid).await.map_err(refusal)?;
        domain
            .output
            .one(&json!({"cid": kept.cid}), || format!("{} is dropped", kept.cid))
    }
}

fn vault(domain: &Running) -> Vault {
    Vault::new(domain.clients.log.clone())
}

fn refusal(error: VaultError) -> Refusal {
    error.refuse()
}

/// The names of the views that are defined, by id.
async fn names(domain: &mut Running) -> anyhow::Result<BTreeMap<String, String>> {
    let answer = domain.clients.projection.list_views(ListViewsRequest {}).await;
    let views = answer.map_err(Refusal::from)?.into_inner().views;
    let defined = views.into_iter().filter(|state| !state.id.is_empty());
    Ok(defined.map(|state| (state.id, state.view)).collect())
}

/// The snapshot with this CID, or the farthest of the view with this id, and whose it is.
async fn find(vault: &Vault, wanted: &str) -> Result<(String, Kept), Refusal> {
    for (view, known) in vault.list().await.map_err(refusal)? {
        let is_view = view == wanted;
        let found = known
            .snapshots
            .into_iter()
            .find(|kept| is_view || kept.cid.as_str() == wanted);
        if let Some(kept) = found {
            return Ok((view, kept));
        }
    }
    let detail = format!("no snapshot {wanted} is kept");
    Err(Refusal::new(Code::NotFound, detail))
}
