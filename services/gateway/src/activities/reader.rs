//! Who may read an activity that is not public: its addressees, by a signed GET.

use fedsx_kernel::{activity::Activity, audience, origin::Origin, stream::Stream};
use fedsx_proto::v1::{Entry, ListRowsRequest};
use fedsx_runtime::code::{Code, Refusal};

use crate::{
    App,
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
    let Ok(Some(candidate)) = request.candidate(app.context.clock.now().as_second(), false) else {
        return Ok(false);
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
    let actor = match app.peers.actor(reader).await {
        Ok(actor) => actor,
        Err(problem) if problem.refusal.code == Code::UnknownKey => return Ok(false),
        Err(problem) => return Err(problem),
    };
    Ok(actor
        .key(candidate.key_id())
        .is_some_and(|key| request.verify(&candidate, key).is_ok()))
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
