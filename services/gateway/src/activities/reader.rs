//! Who may read an activity that is not public: its addressees, by a signed GET.

use fedsx_kernel::{
    activity::Activity, audience, http_signature::rfc9421::Candidate, origin::Origin, stream::Stream,
};
use fedsx_proto::v1::{Entry, ListRowsRequest};
use fedsx_runtime::code::{Code, Refusal};

use crate::{
    App,
    peers::PeerActor,
    problem::Problem,
    signed_request::SignedRequest,
    views::{FOLLOWERS, Relation, RelationState},
};

/// Whether a request is signed by an addressee of an activity that a local actor published: an addressed actor, a
/// follower where followers are addressed, or their origin's base actor.
///
/// That the claimed reader is an addressee comes first, so that nobody else makes us fetch a key.
///
/// # Errors
/// Only what passes: a key that could not be fetched just now, a service that is away.
pub(crate) async fn may_read(app: &App, request: &SignedRequest, entry: &Entry) -> Result<bool, Problem> {
    if !matches!(Stream::parse(&entry.stream), Some(Stream::Outbox(_))) {
        return Ok(false);
    }
    let candidate = match request.candidate(app.context.clock.now().as_second(), false) {
        Ok(Some(candidate)) => candidate,
        Ok(None) => return Ok(false),
        Err(refusal) => return Ok(unverified(app, refusal.code)),
    };
    let reader = candidate.key_id().split('#').next().unwrap_or_default();
    let Ok(origin) = Origin::of(reader) else {
        return Ok(false);
    };
    let activity = Activity::parse(&entry.body).map_err(|error| {
        tracing::error!(position = entry.position, %error, "an entry of the log cannot be read");
        Refusal::new(Code::Internal, "the activity cannot be read")
    })?;
    if origin == app.settings.origin || !is_addressee(app, &activity, reader, &origin).await? {
        return Ok(false);
    }
    match verify(app, request, &candidate, reader).await {
        Ok(()) => Ok(true),
        Err(problem) if problem.refusal.code.http().is_server_error() => Err(problem),
        Err(problem) => Ok(unverified(app, problem.refusal.code)),
    }
}

/// Verifies the request with the reader's keys, as they are known or as they are now.
async fn verify(
    app: &App,
    request: &SignedRequest,
    candidate: &Candidate,
    reader: &str,
) -> Result<(), Problem> {
    let holds = |actor: &PeerActor| match actor.key(candidate.key_id()) {
        Some(key) => request.verify(candidate, &key.key),
        None => Err(Refusal::new(Code::UnknownKey, "the reader has no such key")),
    };
    let actor = app.peers.actor(reader, request.client).await?;
    let Err(refusal) = holds(&actor) else {
        return Ok(());
    };
    match app.peers.again(&actor, request.client).await? {
        Some(actor) => Ok(holds(&actor)?),
        None => Err(refusal.into()),
    }
}

/// Counts what the reader is not told.
fn unverified(app: &App, code: Code) -> bool {
    app.measures.verification(code);
    false
}

async fn is_addressee(
    app: &App,
    activity: &Activity,
    reader: &str,
    origin: &Origin,
) -> Result<bool, Refusal> {
    let recipients = audience::recipients(activity, &app.settings.origin);
    let is_base = origin.is_base(reader);
    let named = |addressee: &String| addressee == reader || (is_base && origin.owns(addressee));
    if recipients.actors.iter().any(named) {
        return Ok(true);
    }
    if !recipients.followers {
        return Ok(false);
    }
    follows(app, activity.actor(), reader, is_base.then_some(origin)).await
}

/// Whether the reader, or anybody at the origin whose base it is, is an accepted follower of a local actor.
async fn follows(app: &App, followed: &str, reader: &str, base_of: Option<&Origin>) -> Result<bool, Refusal> {
    let accepted = |relation: &Relation| relation.state == RelationState::Accepted;
    let Some(origin) = base_of else {
        let row = app
            .views
            .row::<Relation>(FOLLOWERS, &format!("{followed} {reader}"))
            .await?;
        return Ok(row.as_ref().is_some_and(accepted));
    };
    let mut after = String::new();
    loop {
        let request = ListRowsRequest {
            view: FOLLOWERS.to_owned(),
            prefix: format!("{followed} {}", origin.base()),
            after,
            limit: 100,
            at_least: 0,
            count: false,
        };
        let page = app.views.rows::<Relation>(request).await?.rows;
        if page.iter().any(|(_, relation)| accepted(relation)) {
            return Ok(true);
        }
        match page.into_iter().next_back() {
            Some((key, _)) => after = key,
            None => return Ok(false),
        }
    }
}
