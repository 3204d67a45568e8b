//! `fedsx occurrences`: when an event takes place.

use clap::Args;
use fedsx_kernel::recurrence::{MAX_OCCURRENCES, Recurring, Window};
use fedsx_proto::v1::GetRowRequest;
use fedsx_runtime::code::{Code, Refusal};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{connect::Target, output::print};

/// Expands an event's `rrule` in its `timezone`: the time of day stays when the clocks are set. Without a rule it takes place
/// once.
#[derive(Debug, Args)]
pub(crate) struct Occurrences {
    /// An object of this domain: its id, or what stands behind /objects/ in it
    event: String,
    /// Those that begin then or later, RFC 3339: 2026-11-21T20:00:00Z; none: now
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// And before then
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    target: Target,
}

const _: () = assert!(MAX_OCCURRENCES == 1000, "the range of --limit");

pub(crate) async fn run(occurrences: Occurrences) -> anyhow::Result<()> {
    let mut domain = occurrences.target.open().await?;
    let id = match occurrences.event.contains("://") {
        true => occurrences.event.clone(),
        false => domain.origin.object(&occurrences.event),
    };
    let request = GetRowRequest {
        view: "objects".to_owned(),
        key: id.clone(),
        at_least: domain.head,
    };
    let unknown = || Refusal::new(Code::NotFound, format!("there is no object {id} here"));
    let row = match domain.clients.projection.get_row(request).await {
        Ok(found) => found.into_inner().row.ok_or_else(unknown)?,
        Err(status) => {
            let refusal = Refusal::from(status);
            let is_unknown = refusal.code == Code::NotFound;
            return Err(if is_unknown { unknown() } else { refusal }.into());
        }
    };
    let row: Value = serde_json::from_slice(&row.value)?;
    if row["deleted"] == true {
        return Err(Refusal::new(Code::NotFound, format!("the object {id} was deleted")).into());
    }
    let event = row["object"].as_object().ok_or_else(unknown)?;
    let told = Recurring::read(event)
        .map_err(|error| Refusal::new(Code::SchemaRefused, format!("{id} is no event: {error}")))?
        .occurrences(Window {
            from: occurrences.from.unwrap_or_else(Timestamp::now),
            to: occurrences.to,
            limit: occurrences.limit.into(),
        });
    let rows = told.occurrences.iter().map(|found| json!(found));
    let rows: Vec<Value> = rows.collect();
    if rows.is_empty() && !domain.output.json {
        return print(match told.complete {
            true => "it does not take place then",
            false => "none is found: its rule leads nowhere for as long as it is looked at",
        });
    }
    domain.output.many(["BEGINS", "ENDS"], &rows, |row| {
        ["startTime", "endTime"].map(|key| row[key].as_str().unwrap_or("-").to_owned())
    })
}
