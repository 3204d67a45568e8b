//! `fedsx views`: how far the views are, and what an operator decides where one stands still.

use std::{collections::BTreeSet, time::Duration};

use clap::{Args, Subcommand};
use fedsx_kernel::skip::Skip;
use fedsx_proto::v1::{
    GetRequest, GetRowRequest, ListRowsRequest, ListViewsRequest, Row, ShardState, ViewState, get_request::By,
};
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
    /// Read a view's rows, true at least for all that is in the log when the command starts
    Rows(Rows),
    /// Let the shards of a view that stand before an entry go on without it, now and in every rebuild. The decision and its
    /// reason are written to the log
    Skip(SkipEntry),
}

#[derive(Debug, Args)]
struct Rows {
    /// The view's name
    view: String,
    /// Only the row with this key
    #[arg(conflicts_with_all = ["prefix", "after"])]
    key: Option<String>,
    /// Only rows whose key starts so
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// Continue after this key
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    after: String,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    target: Target,
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
        Some(Action::Rows(rows)) => rows.run().await,
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
    domain.output.many(
        ["VIEW", "STATE", "POSITION", "BEHIND", "APPLIED", "HALTED", "WHY"],
        &rows,
        |row| ["view", "state", "position", "behind", "applied", "halted", "why"].map(|key| cell(row, key)),
    )
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
        "id": view.id,
        "state": view.state,
        "applied": view.shards.iter().map(|shard| shard.count).sum::<u64>(),
        "position": position,
        "behind": head.saturating_sub(position),
        "halted": halted().count(),
        "why": halted().next().map_or("", |shard| shard.halted.as_str()),
    })
}

impl Rows {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let (at_least, projection) = (domain.head, &mut domain.clients.projection);
        let (rows, position) = match self.key {
            Some(key) => {
                let view = self.view;
                let request = GetRowRequest { view, key, at_least };
                let found = projection
                    .get_row(request)
                    .await
                    .map_err(Refusal::from)?
                    .into_inner();
                (found.row.into_iter().collect(), found.position)
            }
            None => {
                let request = ListRowsRequest {
                    view: self.view,
                    prefix: self.prefix,
                    after: self.after,
                    limit: self.limit,
                    at_least,
                    count: false,
                };
                let page = projection
                    .list_rows(request)
                    .await
                    .map_err(Refusal::from)?
                    .into_inner();
                (page.rows, page.position)
            }
        };
        tracing::debug!(position, "read");
        let rows = rows.iter().map(row_as_json).collect::<Result<Vec<_>, _>>()?;
        domain.output.many(["KEY", "POSITION", "VALUE"], &rows, |row| {
            let key = row["key"].as_str().unwrap_or_default();
            [
                key.to_owned(),
                row["position"].to_string(),
                row["value"].to_string(),
            ]
        })
    }
}

fn row_as_json(row: &Row) -> serde_json::Result<Value> {
    let value: Value = serde_json::from_slice(&row.value)?;
    Ok(json!({ "key": row.key, "position": row.position, "value": value }))
}

impl SkipEntry {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let (view, shards) = self.halted(&mut domain).await?;
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
            view: view.clone(),
            shards: shards.clone(),
            position: self.position,
            reason: self.reason.clone(),
        };
        let decision = skip.activity(&domain.origin, jiff::Timestamp::now())?;
        domain.decide(&decision).await?;
        let in_force = self.is_in_force(&mut domain).await;
        let value = json!({
            "view": self.view, "id": view, "position": self.position, "cid": cid, "shards": shards,
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

    /// The view's shards that stand before the entry, and its id: of two views of the name, that which stands.
    async fn halted(&self, domain: &mut Running) -> anyhow::Result<(String, BTreeSet<u32>)> {
        let views = views(domain).await?;
        let of_name = || views.iter().filter(|view| view.view == self.view);
        if of_name().next().is_none() {
            let known: BTreeSet<_> = views.iter().map(|view| view.view.as_str()).collect();
            let known: Vec<_> = known.into_iter().collect();
            let detail = format!("there is no view {:?}; there are {}", self.view, known.join(", "));
            return Err(Refusal::new(Code::NotFound, detail).into());
        }
        let stands = |shard: &&ShardState| !shard.halted.is_empty() && shard.position + 1 == self.position;
        let standing = of_name().map(|view| {
            let shards = view.shards.iter().filter(stands);
            (
                view.id.clone(),
                shards.map(|shard| shard.shard).collect::<BTreeSet<_>>(),
            )
        });
        Ok(standing
            .max_by_key(|(_, shards)| shards.len())
            .unwrap_or_default())
    }

    /// Waits a little for the shards to go on. False: they have not yet, and will.
    async fn is_in_force(&self, domain: &mut Running) -> bool {
        let waiting = async {
            while !self
                .halted(domain)
                .await
                .is_ok_and(|(_, shards)| shards.is_empty())
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(IN_FORCE, waiting).await.is_ok()
    }
}
