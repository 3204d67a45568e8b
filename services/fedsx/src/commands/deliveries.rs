//! `fedsx deliveries`: the ledger.

use clap::{Args, Subcommand, ValueEnum};
use fedsx_proto::v1::{DeliveryRow, ListDeliveriesRequest, RetryNowRequest};
use fedsx_runtime::code::Refusal;
use serde_json::json;

use super::{
    connect::Target,
    output::{moment, print},
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Deliveries {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Try again now what is pending, and probe parked peers, without waiting for their time
    RetryNow(RetryNow),
}

#[derive(Debug, Args)]
struct List {
    /// Only in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only to this peer: its origin
    #[arg(long, value_name = "ORIGIN", default_value = "", hide_default_value = true)]
    peer: String,
    /// Only of this activity: its CID or id
    #[arg(long, value_name = "ACTIVITY", default_value = "", hide_default_value = true)]
    activity: String,
    /// At most this many, newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Continue a list: the token that it ended with
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Pending,
    Delivered,
    Refused,
    Dead,
}

#[derive(Debug, Args)]
struct RetryNow {
    /// Only to this peer: its origin
    #[arg(long, value_name = "ORIGIN", default_value = "", hide_default_value = true)]
    peer: String,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(deliveries: Deliveries) -> anyhow::Result<()> {
    match deliveries.action {
        Some(Action::RetryNow(retry)) => retry.run().await,
        None => deliveries.list.run().await,
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let state = self
            .state
            .and_then(|state| state.to_possible_value().map(|value| value.get_name().to_owned()));
        let request = ListDeliveriesRequest {
            state: state.unwrap_or_default(),
            origin: self.peer.trim_end_matches('/').to_owned(),
            cid: self.activity.rsplit('/').next().unwrap_or_default().to_owned(),
            limit: self.limit,
            page_token: self.page,
        };
        let answer = domain
            .clients
            .delivery
            .list_deliveries(request)
            .await
            .map_err(Refusal::from)?
            .into_inner();
        let rows = &answer.deliveries;
        if domain.output.json {
            let rows: Vec<_> = rows.iter().map(as_json).collect();
            return print(&json!({ "deliveries": rows, "nextPage": answer.next_page_token }).to_string());
        }
        domain.output.many(
            ["POSITION", "STATE", "TRIES", "STATUS", "NEXT", "TO", "CAUSE"],
            &rows.iter().map(Row).collect::<Vec<_>>(),
            |Row(row)| {
                [
                    row.position.to_string(),
                    row.state.clone(),
                    row.attempts.to_string(),
                    if row.status == 0 {
                        "-".to_owned()
                    } else {
                        row.status.to_string()
                    },
                    moment(row.next_at_ms),
                    row.inbox.clone(),
                    row.cause.clone(),
                ]
            },
        )?;
        if !answer.next_page_token.is_empty() {
            print(&format!("more: --page {}", answer.next_page_token))?;
        }
        Ok(())
    }
}

/// A ledger row to print.
struct Row<'a>(&'a DeliveryRow);

impl serde::Serialize for Row<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_json(self.0).serialize(serializer)
    }
}

fn as_json(row: &DeliveryRow) -> serde_json::Value {
    json!({
        "position": row.position, "cid": row.cid, "actor": row.actor, "inbox": row.inbox, "origin": row.origin,
        "state": row.state, "attempts": row.attempts, "status": row.status, "cause": row.cause,
        "nextAtMillis": row.next_at_ms, "traceId": row.trace_id,
    })
}

impl RetryNow {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = RetryNowRequest {
            origin: self.peer.trim_end_matches('/').to_owned(),
        };
        let answer = domain
            .clients
            .delivery
            .retry_now(request)
            .await
            .map_err(Refusal::from)?
            .into_inner();
        let value = json!({ "deliveries": answer.deliveries, "origins": answer.origins });
        domain.output.one(&value, || {
            format!(
                "due now: {} deliveries, {} peers",
                answer.deliveries, answer.origins
            )
        })
    }
}
