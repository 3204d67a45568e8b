//! `fedsx deliveries`: the ledger.

use clap::{Args, Subcommand, ValueEnum};
use fedsx_proto::v1::{
    DeliveryRow, GetDeliveryRequest, GetDeliveryResponse, GetRequest, ListDeliveriesRequest, RetryNowRequest,
    get_request::By,
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Value, json};

use super::{
    connect::{Running, Target},
    output::{moment, print, table},
};

/// Rows that are asked for at once.
const PAGE: u32 = 1000;

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
    /// One delivery with every detail, and what it sends
    Show(Show),
    /// Try again now what is pending, and probe parked peers, without waiting for their time
    RetryNow(RetryNow),
}

#[derive(Debug, Args)]
struct List {
    /// Only in this state; repeatable
    #[arg(long = "state", value_enum)]
    states: Vec<State>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    target: Target,
}

/// Which deliveries.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Which {
    /// Only to this peer: its origin
    #[arg(long, value_name = "ORIGIN", default_value = "", hide_default_value = true)]
    pub(super) peer: String,
    /// Only of this activity: its CID, its id, or its position in the log
    #[arg(
        long,
        visible_alias = "activity",
        value_name = "ACTIVITY",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) cid: String,
    /// Only to this inbox, as a list shows it
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub(super) inbox: String,
}

/// How much of a list.
#[derive(Debug, Clone, Args)]
pub(super) struct Page {
    /// At most this many, newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Continue a list: the token that it ended with
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Pending,
    Delivered,
    Refused,
    Dead,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The activity: its CID, its id, or its position in the log
    activity: String,
    /// The inbox, as a list shows it; needed where the activity has several deliveries
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    inbox: String,
    #[command(flatten)]
    target: Target,
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
        Some(Action::Show(show)) => show.run(&[]).await,
        Some(Action::RetryNow(retry)) => retry.run().await,
        None => deliveries.list.run().await,
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        list(&self.target, &names(&self.states), &self.which, self.page).await
    }
}

/// The states' names.
pub(super) fn names<T: ValueEnum>(states: &[T]) -> Vec<String> {
    let values = states.iter().filter_map(ValueEnum::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect()
}

/// Prints a list of deliveries.
pub(super) async fn list(
    target: &Target,
    states: &[String],
    which: &Which,
    page: Page,
) -> anyhow::Result<()> {
    let mut domain = target.open().await?;
    let request = which.list(&mut domain, states).await?;
    let (rows, next) = read(&mut domain, request, page).await?;
    if domain.output.json {
        let rows: Vec<_> = rows.iter().map(as_json).collect();
        return print(&json!({ "deliveries": rows, "nextPage": next }).to_string());
    }
    print(&as_table(&rows))?;
    if !next.is_empty() {
        print(&format!("more: --page {next}"))?;
    }
    Ok(())
}

impl Which {
    /// The request for a list.
    pub(super) async fn list(
        &self,
        domain: &mut Running,
        states: &[String],
    ) -> anyhow::Result<ListDeliveriesRequest> {
        Ok(ListDeliveriesRequest {
            states: states.to_vec(),
            origin: self.origin(),
            cid: cid(domain, &self.cid).await?,
            inbox: self.inbox.clone(),
            ..ListDeliveriesRequest::default()
        })
    }

    pub(super) fn origin(&self) -> String {
        self.peer.trim_end_matches('/').to_owned()
    }
}

/// The CID of an activity that is named by its CID, its id or its position.
pub(super) async fn cid(domain: &mut Running, activity: &str) -> anyhow::Result<String> {
    let Ok(position) = activity.parse() else {
        return Ok(activity.rsplit('/').next().unwrap_or_default().to_owned());
    };
    let request = GetRequest {
        by: Some(By::Position(position)),
    };
    let entry = domain.clients.log.get(request).await.map_err(Refusal::from)?;
    Ok(entry.into_inner().cid)
}

/// Reads as many rows as are asked for, and where the list would go on.
async fn read(
    domain: &mut Running,
    mut request: ListDeliveriesRequest,
    page: Page,
) -> anyhow::Result<(Vec<DeliveryRow>, String)> {
    let (mut rows, mut left) = (Vec::new(), page.limit);
    request.page_token = page.page;
    loop {
        request.limit = left.min(PAGE);
        let answer = domain.clients.delivery.list_deliveries(request.clone()).await;
        let answer = answer.map_err(Refusal::from)?.into_inner();
        left = left.saturating_sub(u32::try_from(answer.deliveries.len()).unwrap_or(left));
        rows.extend(answer.deliveries);
        if left == 0 || answer.next_page_token.is_empty() {
            return Ok((rows, answer.next_page_token));
        }
        request.page_token = answer.next_page_token;
    }
}

fn as_table(rows: &[DeliveryRow]) -> String {
    let heading = [
        "POSITION", "STATE", "TRIES", "STATUS", "NEXT", "TO", "TRACE", "CAUSE",
    ];
    let cells = |row: &DeliveryRow| {
        [
            row.position.to_string(),
            state(row),
            row.attempts.to_string(),
            status(row.status),
            moment(row.next_at_ms),
            row.inbox.clone(),
            or_dash(&row.trace_id),
            row.cause.clone(),
        ]
    };
    table(heading, rows.iter().map(cells).collect())
}

fn state(row: &DeliveryRow) -> String {
    if row.replay {
        format!("{} again", row.state)
    } else {
        row.state.clone()
    }
}

fn status(status: u32) -> String {
    if status == 0 {
        "-".to_owned()
    } else {
        status.to_string()
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

pub(super) fn as_json(row: &DeliveryRow) -> Value {
    json!({
        "position": row.position, "cid": row.cid, "actor": row.actor, "inbox": row.inbox, "origin": row.origin,
        "state": row.state, "attempts": row.attempts, "status": row.status, "cause": row.cause,
        "nextAtMillis": row.next_at_ms, "traceId": row.trace_id, "replay": row.replay,
        "replica": row.replica,
    })
}

impl Show {
    /// Shows the delivery of the activity that is in one of these states; none means any.
    pub(super) async fn run(self, states: &[String]) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let which = Which {
            cid: self.activity,
            inbox: self.inbox,
            ..Which::default()
        };
        let mut request = which.list(&mut domain, states).await?;
        request.limit = 2;
        let rows = domain.clients.delivery.list_deliveries(request).await;
        let rows = rows.map_err(Refusal::from)?.into_inner().deliveries;
        let row = match rows.as_slice() {
            [row] => row,
            [] => return Err(Refusal::new(Code::NotFound, "the ledger has no such delivery").into()),
            _ => {
                let several = "the activity has several of them: name one by --inbox";
                return Err(Refusal::new(Code::Malformed, several).into());
            }
        };
        let request = GetDeliveryRequest {
            cid: row.cid.clone(),
            inbox: row.inbox.clone(),
        };
        let shown = domain.clients.delivery.get_delivery(request).await;
        let shown = shown.map_err(Refusal::from)?.into_inner();
        let activity: Value = serde_json::from_slice(&shown.body)?;
        if domain.output.json {
            let mut value = as_json(&shown.delivery.unwrap_or_default());
            value["activityId"] = shown.activity_id.into();
            value["activity"] = activity;
            return print(&value.to_string());
        }
        print(&in_detail(&shown, &activity))
    }
}

/// One delivery on many lines.
fn in_detail(shown: &GetDeliveryResponse, activity: &Value) -> String {
    let row = shown.delivery.clone().unwrap_or_default();
    let lines = [
        ("activity", shown.activity_id.clone()),
        ("cid", row.cid.clone()),
        ("position", row.position.to_string()),
        ("from", row.actor.clone()),
        ("to", row.inbox.clone()),
        ("peer", row.origin.clone()),
        ("state", state(&row)),
        ("attempts", row.attempts.to_string()),
        ("by", or_dash(&row.replica)),
        ("status", status(row.status)),
        ("cause", or_dash(&row.cause)),
        ("next attempt", moment(row.next_at_ms)),
        ("trace", or_dash(&row.trace_id)),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        text.push_str(&format!("{name:13} {value}\n"));
    }
    text.push_str(&format!("{activity:#}"));
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [DeliveryRow; 3] {
        let delivered = DeliveryRow {
            position: 17,
            cid: "bafyone".to_owned(),
            actor: "https://blog.example/actors/alice".to_owned(),
            inbox: "https://peer.example/inbox".to_owned(),
            origin: "https://peer.example".to_owned(),
            state: "delivered".to_owned(),
            attempts: 1,
            status: 202,
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            replica: "blog-delivery-7c9f-x2x".to_owned(),
            ..DeliveryRow::default()
        };
        let waiting = DeliveryRow {
            state: "pending".to_owned(),
            attempts: 3,
            status: 0,
            cause: "connection refused".to_owned(),
            next_at_ms: 1_763_721_600_000,
            ..delivered.clone()
        };
        let again = DeliveryRow {
            position: 4,
            state: "refused".to_owned(),
            status: 422,
            cause: "422 schema_refused: title is\u{1b}[31m too short".to_owned(),
            trace_id: String::new(),
            replay: true,
            ..delivered.clone()
        };
        [delivered, waiting, again]
    }

    #[test]
    fn a_list_has_a_row_for_each_activity_and_inbox() {
        insta::assert_snapshot!(as_table(&rows()), @r"
        POSITION  STATE          TRIES  STATUS  NEXT                  TO                          TRACE                             CAUSE
        17        delivered      1      202     -                     https://peer.example/inbox  4bf92f3577b34da6a3ce929d0e0e4736
        17        pending        3      -       2025-11-21T10:40:00Z  https://peer.example/inbox  4bf92f3577b34da6a3ce929d0e0e4736  connection refused
        4         refused again  1      422     -                     https://peer.example/inbox  -                                 422 schema_refused: title is�[31m too short
        ");
    }

    #[test]
    fn one_delivery_is_shown_with_every_detail() {
        let [_, waiting, _] = rows();
        let shown = GetDeliveryResponse {
            delivery: Some(waiting),
            activity_id: "https://blog.example/activities/bafyone".to_owned(),
            body: Default::default(),
        };
        let activity = json!({"type": "Create", "object": {"type": "Note", "content": "Gig Night"}});
        insta::assert_snapshot!(in_detail(&shown, &activity), @r#"
        activity      https://blog.example/activities/bafyone
        cid           bafyone
        position      17
        from          https://blog.example/actors/alice
        to            https://peer.example/inbox
        peer          https://peer.example
        state         pending
        attempts      3
        by            blog-delivery-7c9f-x2x
        status        -
        cause         connection refused
        next attempt  2025-11-21T10:40:00Z
        trace         4bf92f3577b34da6a3ce929d0e0e4736
        {
          "object": {
            "content": "Gig Night",
            "type": "Note"
          },
          "type": "Create"
        }
        "#);
    }
}
