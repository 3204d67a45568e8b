//! A small activity: into the log, through views and fan-out, and to a peer.

use anyhow::Context as _;
use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{DeliveryRow, GetProgressRequest, ListViewsRequest, ViewState};
use fedsx_runtime::code::Refusal;
use serde_json::{Value, json};

use super::{Test, report::Report};
use crate::asked::{self, Published};

/// A Note to the domain itself, which nobody else gets.
pub(super) async fn to_itself(test: &mut Test, report: &mut Report) -> anyhow::Result<()> {
    let base = test.domain.origin.base();
    let published = note(test, report, "an activity is published", &base).await?;
    let logged = logged(test, &published);
    report
        .step("it is in the log", "fedsx entries, and the log's own", logged)
        .await?;
    let caught_up = caught_up(test, published.position);
    report
        .step(
            "the views have caught up",
            "fedsx views, which says why one stands still",
            caught_up,
        )
        .await?;
    let fanned_out = fanned_out(test, published.position);
    let look_at = "delivery's log and its /readyz: fan-out follows the log";
    report
        .step("the fan-out has caught up", look_at, fanned_out)
        .await?;
    test.show(report, &published).await
}

/// A Note to another domain.
pub(super) async fn to_peer(test: &mut Test, report: &mut Report, peer: &Origin) -> anyhow::Result<()> {
    let published = note(test, report, "one is published for the peer", &peer.base()).await?;
    delivered(test, report, &published, peer).await?;
    test.show(report, &published).await
}

async fn note(test: &mut Test, report: &mut Report, step: &str, to: &str) -> anyhow::Result<Published> {
    let what = if to == test.domain.origin.base() {
        "own"
    } else {
        "peer"
    };
    let note = json!({
        "id": test.object(what), "type": "Note", "attributedTo": test.actor, "to": [to],
        "content": format!("<p>A self-test of {}. It is deleted again.</p>", test.domain.origin),
    });
    let publishing = async {
        let published = test.create(note, to).await?;
        let detail = format!("{} at position {}", published.id, published.position);
        Ok((published, detail))
    };
    let look_at = "the code: fedsx types list and fedsx actor list say what is declared and who may publish";
    report.step(step, look_at, publishing).await
}

async fn logged(test: &Test, published: &Published) -> anyhow::Result<((), String)> {
    let entry = asked::entry_of(&test.domain.clients, &published.id).await?;
    let entry = entry.context("the log does not have it")?;
    let activity: Value = serde_json::from_slice(&entry.body)?;
    let suite = activity["proof"]["cryptosuite"]
        .as_str()
        .context("it has no proof")?;
    Ok(((), format!("{} with a proof, {suite}", entry.stream)))
}

async fn caught_up(test: &Test, position: u64) -> anyhow::Result<((), String)> {
    let client = &test.domain.clients.projection;
    let read = async || {
        let views = client.clone().list_views(ListViewsRequest {}).await;
        Ok::<_, Refusal>(views?.into_inner().views)
    };
    let late = |views: &[ViewState]| -> Vec<String> {
        views.iter().filter_map(|view| behind(view, position)).collect()
    };
    let all = asked::within(test.patience, async || {
        let views = read().await?;
        let is_there = !views.is_empty() && late(&views).is_empty();
        Ok::<_, Refusal>(is_there.then_some(()))
    });
    all.await?;
    let views = read().await?;
    anyhow::ensure!(!views.is_empty(), "there are none");
    let late = late(&views);
    anyhow::ensure!(late.is_empty(), "not to position {position}: {}", late.join(", "));
    Ok(((), format!("{} of them, to position {position}", views.len())))
}

/// How far a view is and why it stands still, where it is not as far as this position.
fn behind(view: &ViewState, position: u64) -> Option<String> {
    let shard = view.shards.iter().min_by_key(|shard| shard.position)?;
    let halted = view.shards.iter().find(|shard| !shard.halted.is_empty());
    let why = halted.map_or(String::new(), |shard| format!(" ({})", shard.halted));
    (shard.position < position).then(|| format!("{} is at {}{why}", view.view, shard.position))
}

async fn fanned_out(test: &Test, position: u64) -> anyhow::Result<((), String)> {
    let client = &test.domain.clients.delivery;
    let mut cursor = 0;
    let reached = asked::within(test.patience, async || {
        let progress = client.clone().get_progress(GetProgressRequest {}).await;
        cursor = progress?.into_inner().cursor;
        Ok::<_, Refusal>((cursor >= position).then_some(()))
    });
    let reached = reached.await?;
    reached.with_context(|| format!("it is at {cursor}, and the activity at {position}"))?;
    Ok(((), format!("to position {cursor}")))
}

/// Waits until the ledger says that a peer has taken an activity.
pub(super) async fn delivered(
    test: &Test,
    report: &mut Report,
    published: &Published,
    peer: &Origin,
) -> anyhow::Result<()> {
    let step = format!("{} takes it", peer.authority());
    let look_at = format!(
        "fedsx deliveries --cid {}, and fedsx peers probe {peer} --wait; --plain-peer where it has no TLS",
        published.cid
    );
    let delivering = async {
        let mut last: Option<DeliveryRow> = None;
        let ended = asked::within(test.patience, async || {
            let rows = asked::deliveries(&test.domain.clients, &published.cid).await?;
            last = rows.into_iter().find(|row| row.origin == peer.as_str());
            Ok::<_, Refusal>(last.clone().filter(|row| row.state != "pending"))
        });
        let ended = ended.await?;
        match ended {
            Some(row) if row.state == "delivered" => Ok(((), told(&row))),
            Some(row) => anyhow::bail!("{}", told(&row)),
            None => match last {
                Some(row) => anyhow::bail!("{} after {} s", told(&row), test.patience.as_secs()),
                None => anyhow::bail!("the ledger owes {peer} nothing of it: is it blocked, or parked?"),
            },
        }
    };
    report.step(&step, &look_at, delivering).await
}

/// A delivery in one line.
fn told(row: &DeliveryRow) -> String {
    let attempts = if row.attempts == 1 { "attempt" } else { "attempts" };
    let mut words = vec![format!("{} after {} {attempts}", row.state, row.attempts)];
    if row.status > 0 {
        words.push(format!("status {}", row.status));
    }
    if !row.cause.is_empty() {
        words.push(row.cause.clone());
    }
    words.join(", ")
}
