//! `fedsx views`: how far the views are, and what an operator decides where one stands still.

use std::{collections::BTreeSet, time::Duration};

use clap::{Args, Subcommand};
use fedsx_kernel::skip::Skip;
use fedsx_proto::v1::{GetRequest, ListViewsRequest, ShardState, ViewState, get_request::By};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Value, json};

use super::connect::{Running, Target};

/// How long is waited until the shards go on.
const IN_FORCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Views {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Let the shards of a view that stand before an entry go on without it, now and in every rebuild. The decision and its
    /// reason are written to the log
    Skip(SkipEntry),
}

#[derive(Debug, Args)]
struct SkipEntry {
    /// The view's name
    view: String,
    /// The entry's position, which the view's shards say they cannot fold
    position: u64,
    /// Why, for whoever wonders later
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(views: Views) -> anyhow::Result<()> {
    match views.action {
        Some(Action::Skip(skip)) => skip.run().await,
        None => list(&views.target).await,
    }
}

async fn list(target: &Target) -> anyhow::Result<()> {
    let mut domain = target.open().await?;
    let views = views(&mut domain).await?;
    let head = domain.head;
    let rows: Vec<Value> = views.iter().map(|view| as_json(view, head)).collect();
    let cell = |row: &Value, key: &str| match &row[key] {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    domain
        .output
        .many(["VIEW", "POSITION", "BEHIND", "HALTED", "WHY"], &rows, |row| {
            ["view", "position", "behind", "halted", "why"].map(|key| cell(row, key))
        })
}

async fn views(domain: &mut Running) -> anyhow::Result<Vec<ViewState>> {
    let answer = domain.clients.projection.list_views(ListViewsRequest {}).await;
    Ok(answer.map_err(Refusal::from)?.into_inner().views)
}

fn as_json(view: &ViewState, head: u64) -> Value {
    let position = view.shards.iter().map(|shard| shard.position).min().unwrap_or(0);
    let halted = || view.shards.iter().filter(|shard| !shard.halted.is_empty());
    json!({
        "view": view.view,
        "position": position,
        "behind": head.saturating_sub(position),
        "halted": halted().count(),
        "why": halted().next().map_or("", |shard| shard.halted.as_str()),
    })
}

impl SkipEntry {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let shards = self.halted(&mut domain).await?;
        if shards.is_empty() {
            let detail = format!(
                "no shard of {} stands before the entry at {}",
                self.view, self.position
            );
            return Err(Refusal::new(Code::NotFound, detail).into());
        }
        let by = Some(By::Position(self.position));
        let entry = domain.clients.log.get(GetRequest { by }).await;
        let cid = entry.map_err(Refusal::from)?.into_inner().cid;
        let skip = Skip {
            view: self.view.clone(),
            shards: shards.clone(),
            position: self.position,
            reason: self.reason.clone(),
        };
        let decision = skip.activity(&domain.origin, jiff::Timestamp::now())?;
        domain.decide(&decision).await?;
        let in_force = self.is_in_force(&mut domain).await;
        let value = json!({
            "view": self.view, "position": self.position, "cid": cid, "shards": shards,
            "decision": decision.id(), "inForce": in_force,
        });
        domain.output.one(&value, || {
            let yet = if in_force {
                ""
            } else {
                "; the projection has not come to it yet"
            };
            format!(
                "{} shards of {} go on without {cid}{yet}",
                shards.len(),
                self.view
            )
        })
    }

    /// The view's shards that stand before the entry.
    async fn halted(&self, domain: &mut Running) -> anyhow::Result<BTreeSet<u32>> {
        let views = views(domain).await?;
        let Some(view) = views.iter().find(|view| view.view == self.view) else {
            let known: Vec<_> = views.iter().map(|view| view.view.as_str()).collect();
            let detail = format!("there is no view {:?}; there are {}", self.view, known.join(", "));
            return Err(Refusal::new(Code::NotFound, detail).into());
        };
        let stands = |shard: &&ShardState| !shard.halted.is_empty() && shard.position + 1 == self.position;
        Ok(view
            .shards
            .iter()
            .filter(stands)
            .map(|shard| shard.shard)
            .collect())
    }

    /// Waits a little for the shards to go on. False: they have not yet, and will.
    async fn is_in_force(&self, domain: &mut Running) -> bool {
        let waiting = async {
            while !self.halted(domain).await.is_ok_and(|shards| shards.is_empty()) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(IN_FORCE, waiting).await.is_ok()
    }
}
