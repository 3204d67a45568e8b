//! Appending an activity that is ours and verified.

use fedsx_kernel::stream::Stream;
use fedsx_proto::v1::{KvChange, Meta};
use fedsx_runtime::{
    code::{Code, Refusal},
    telemetry,
};

use super::{Received, accept::Standing, verify::Verified};
use crate::{App, log::Appended, peers::Peers, problem::Problem, quota::Reservation};

/// What `meta.remarks` says of an activity that its actor's server did not send itself.
const FORWARDED: &str = "forwarded";

/// Appends to the actor's inbox stream, with what is remembered of the actor and of the origin's quota in the same
/// transaction.
///
/// # Errors
/// `quota_exceeded` for a stranger, `unavailable` where the log is away, and what the log finds wrong.
pub(super) async fn append(
    app: &App,
    received: &Received,
    verified: Verified,
    standing: Standing,
) -> Result<Appended, Problem> {
    let activity = &received.activity;
    let actor = &verified.actor;
    let reservation = match reserve(app, received, standing).await {
        Ok(reservation) => reservation,
        // What is there already takes no room: its sender only missed the answer.
        Err(refusal) if refusal.code == Code::QuotaExceeded && is_known(app, received).await? => {
            return Ok(Appended::Duplicate);
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let mut kv: Vec<KvChange> = reservation
        .iter()
        .map(|reservation| reservation.change.clone())
        .collect();
    // An actor that says it changed is fetched anew the next time.
    let changed =
        matches!(activity.verb(), "Update" | "Delete") && activity.object_id() == Some(actor.id.as_str());
    if changed {
        kv.push(Peers::removal(&actor.id));
    } else {
        kv.extend(Peers::unsaved(actor));
    }
    let stream = Stream::Inbox(activity.actor().to_owned());
    let appended = app
        .log
        .append(&stream, received.body.clone(), meta(&verified), kv)
        .await?;
    if appended == Appended::New {
        if let Some(reservation) = reservation {
            reservation.keep();
        }
        if changed {
            // After the record is gone: who looked it up in between would have kept it.
            app.peers.forget(&actor.id).await;
        } else {
            actor.saved();
        }
    }
    Ok(appended)
}

/// Takes the activity's size from the quota of a stranger.
async fn reserve(app: &App, received: &Received, standing: Standing) -> Result<Option<Reservation>, Refusal> {
    if standing.followed {
        return Ok(None);
    }
    let bytes = u64::try_from(received.body.len()).unwrap_or(u64::MAX);
    app.quota
        .reserve(&app.log, &received.origin, bytes)
        .await
        .map(Some)
}

async fn is_known(app: &App, received: &Received) -> Result<bool, Refusal> {
    Ok(app.log.by_cid(received.activity.cid()).await?.is_some())
}

fn meta(verified: &Verified) -> Meta {
    let Verified { actor, signature } = verified;
    Meta {
        traceparent: telemetry::current_traceparent().unwrap_or_default(),
        key_id: signature.key_id.clone(),
        key_multibase: signature.key.to_multibase(),
        verified_by: signature.verified_by.to_owned(),
        inbox: actor.inbox.clone(),
        shared_inbox: actor.shared_inbox.clone().unwrap_or_default(),
        remarks: signature
            .forwarded
            .then(|| FORWARDED.to_owned())
            .into_iter()
            .collect(),
    }
}
