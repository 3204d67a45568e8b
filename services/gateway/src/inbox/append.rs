//! Appending an activity that is ours and verified.

use std::sync::Arc;

use fedsx_kernel::stream::Stream;
use fedsx_proto::v1::{KvChange, Meta};
use fedsx_runtime::{
    code::{Code, Refusal},
    telemetry,
};
use tracing::Instrument as _;

use super::{
    Received,
    standing::Followed,
    verify::{Sender, Verified},
};
use crate::{App, log::Appended, peers::Peers, problem::Problem, quota::Reservation};

/// What `meta.remarks` says of an activity that its actor's server did not send itself.
const FORWARDED: &str = "forwarded";

/// Appends to the actor's inbox stream, with what is remembered of the actor in the same transaction.
///
/// In a task of its own: a client that goes away must neither get back the quota of what is stored, nor lose what its
/// activity's origin was granted meanwhile.
///
/// # Errors
/// `quota_exceeded` for a stranger, `unavailable` where the log is away, and what the log finds wrong.
pub(super) async fn append(
    app: &App,
    received: &Arc<Received>,
    verified: Verified,
    followed: Followed,
) -> Result<Appended, Problem> {
    let (own, received) = (app.clone(), received.clone());
    let work = async move { within_quota(&own, &received, &verified, followed).await };
    let task = app.context.shutdown.spawn(work.in_current_span());
    task.await.map_err(|error| {
        tracing::error!(%error, "an append failed");
        Refusal::new(Code::Internal, "the activity could not be appended")
    })?
}

async fn within_quota(
    app: &App,
    received: &Received,
    verified: &Verified,
    followed: Followed,
) -> Result<Appended, Problem> {
    let reservation = match reserve(app, received, followed).await {
        Ok(reservation) => reservation,
        // What is there already takes no room: its sender only missed the answer.
        Err(refusal) if refusal.code == Code::QuotaExceeded && is_known(app, received).await? => {
            return Ok(Appended::Duplicate);
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let appended = write_and_remember(app, received, verified).await;
    if let Some(reservation) = reservation.filter(|_| !may_be_stored(&appended)) {
        reservation.give_back();
    }
    Ok(appended?)
}

/// Whether the append has taken room, for all that is known.
fn may_be_stored(appended: &Result<Appended, Refusal>) -> bool {
    match appended {
        Ok(appended) => *appended == Appended::New,
        Err(refusal) => matches!(refusal.code, Code::Unavailable | Code::Internal),
    }
}

async fn write_and_remember(
    app: &App,
    received: &Received,
    verified: &Verified,
) -> Result<Appended, Refusal> {
    if !speaks_of_itself(received) {
        return write_with_actor(app, received, verified).await;
    }
    // An actor that says it changed is fetched anew the next time, by every gateway.
    let mark = app.peers.mark(&verified.actor.id);
    let appended = write(app, received, verified, vec![mark]).await?;
    app.peers.forget(&verified.actor.id).await;
    Ok(appended)
}

fn speaks_of_itself(received: &Received) -> bool {
    let activity = &received.activity;
    matches!(activity.verb(), "Update" | "Delete") && activity.object_id() == Some(activity.actor())
}

/// Writes the activity, and its actor's record where there is none yet.
async fn write_with_actor(app: &App, received: &Received, verified: &Verified) -> Result<Appended, Refusal> {
    let Some((saving, change)) = Peers::unsaved(&verified.actor) else {
        return write(app, received, verified, Vec::new()).await;
    };
    let appended = write(app, received, verified, vec![change]).await?;
    if appended == Appended::KvConflict {
        // Another gateway has learned of the actor since, and what it wrote counts.
        app.peers.forget(&verified.actor.id).await;
        return write(app, received, verified, Vec::new()).await;
    }
    if appended == Appended::New {
        saving.written();
    }
    Ok(appended)
}

async fn write(
    app: &App,
    received: &Received,
    verified: &Verified,
    kv: Vec<KvChange>,
) -> Result<Appended, Refusal> {
    let stream = Stream::Inbox(received.activity.actor().to_owned());
    let body = received.body.clone();
    app.log.append(&stream, body, meta(verified), kv).await
}

/// Takes the activity's size from the quota of a stranger.
async fn reserve(app: &App, received: &Received, followed: Followed) -> Result<Option<Reservation>, Refusal> {
    if followed != Followed::Nobody {
        return Ok(None);
    }
    let origin = &received.origin;
    let bytes = u64::try_from(received.body.len()).unwrap_or(u64::MAX);
    match app.quota.reserve(&app.log, origin, bytes).await {
        Ok(reservation) => Ok(Some(reservation)),
        // Somebody here may have begun to follow it a moment ago.
        Err(refusal)
            if refusal.code == Code::QuotaExceeded && app.views.follows(&origin.base(), 0).await? =>
        {
            Ok(None)
        }
        Err(refusal) => Err(refusal),
    }
}

async fn is_known(app: &App, received: &Received) -> Result<bool, Refusal> {
    Ok(app.log.by_cid(received.activity.cid()).await?.is_some())
}

fn meta(verified: &Verified) -> Meta {
    let Verified { actor, signature } = verified;
    Meta {
        traceparent: telemetry::current_traceparent().unwrap_or_default(),
        key_id: signature.key.id.clone(),
        key_multibase: signature.key.multibase.clone(),
        verified_by: signature.verified_by.to_owned(),
        inbox: actor.inbox.clone(),
        shared_inbox: actor.shared_inbox.clone().unwrap_or_default(),
        remarks: (signature.sender == Sender::Other)
            .then(|| FORWARDED.to_owned())
            .into_iter()
            .collect(),
    }
}
