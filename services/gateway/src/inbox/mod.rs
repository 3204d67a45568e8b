//! The inboxes: what a peer posts is checked, cheap before dear, appended, and only then answered.
//!
//! The order of the checks is the order of the files: [`body`] (media type, size, digest, JSON, envelope), [`evidence`]
//! (that something could show who sent it), [`accept`] (whose it is and whether it is for us), [`verify`] (who signed it),
//! [`append`]. Until `accept` nothing is asked of anybody, and until `verify` nothing of a stranger. A new check goes
//! where its cost belongs.

mod accept;
mod append;
mod body;
pub(crate) mod budget;
mod evidence;
pub(crate) mod standing;
mod types;
mod verify;

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use fedsx_kernel::{activity::Activity, origin::Origin};
use fedsx_runtime::{
    code::{Code, Refusal},
    telemetry,
};
use http::StatusCode;
use tracing::{Instrument as _, Span, field};

use self::budget::Share;
use crate::{
    App, limit::Client, local_actor::LocalActor, log::Appended, problem::Problem,
    signed_request::SignedRequest,
};

/// Longest `traceparent` that is read: version 00 has 55 characters.
const MAX_TRACEPARENT: usize = 128;

/// What a peer posted, once its envelope holds.
#[derive(Debug)]
struct Received {
    request: SignedRequest,
    body: Bytes,
    /// Held until nobody works on this any more, the client gone or not.
    _share: Share,
    activity: Activity,
    /// Origin of the activity's actor.
    origin: Origin,
    /// The local actor at whose own inbox it came in; none for the shared inbox.
    inbox: Option<String>,
}

/// `POST /inbox`, of the base and shared by all actors.
pub(crate) async fn shared(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    receive(app, None, request).await
}

/// `POST /actors/{name}/inbox`
pub(crate) async fn personal(
    State(app): State<App>,
    LocalActor(actor): LocalActor,
    request: Request,
) -> Result<Response, Problem> {
    receive(app, Some(actor), request).await
}

async fn receive(app: App, inbox: Option<String>, request: Request) -> Result<Response, Problem> {
    let begun = Instant::now();
    let outcome = receive_body(&app, inbox, request).await;
    let told = match &outcome {
        Ok(Appended::Duplicate) => "duplicate",
        Ok(_) => "accepted",
        Err(problem) => problem.refusal.code.as_str(),
    };
    app.measures.posted(told, begun.elapsed());
    Ok(status(outcome?).into_response())
}

async fn receive_body(app: &App, inbox: Option<String>, request: Request) -> Result<Appended, Problem> {
    let (parts, stream) = request.into_parts();
    if let Err(refusal) = body::check_media_type(&parts.headers) {
        body::discard(app, stream).await;
        return Err(refusal.into());
    }
    let client = Client::of(&parts.extensions);
    let body = body::read(app, client, stream).await?;
    let request = SignedRequest::new(&app.settings.origin, parts);
    let opened = body::open(request, body, inbox).await;
    let received = Arc::new(opened.inspect_err(|refusal| app.measures.verification(refusal.code))?);
    let span = span(app, &received);
    let outcome = process(app, &received).instrument(span.clone()).await;
    let status = match &outcome {
        Ok(appended) => status(*appended),
        Err(problem) => {
            telemetry::refused(&span, &problem.refusal);
            problem.refusal.code.http()
        }
    };
    span.record("http.response.status_code", status.as_u16());
    outcome
}

fn status(appended: Appended) -> StatusCode {
    match appended {
        Appended::Duplicate => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    }
}

async fn process(app: &App, received: &Arc<Received>) -> Result<Appended, Problem> {
    let evidence =
        evidence::check(app, received).inspect_err(|refusal| app.measures.verification(refusal.code))?;
    let followed = accept::check(app, received).await?;
    let verified = verify::verify(app, received, evidence)
        .await
        .inspect_err(|problem| app.measures.verification(problem.refusal.code))?;
    types::resolve(app, received).await?;
    append::append(app, received, verified, followed).await
}

/// The request's span: part of a trusted peer's trace, linked to a stranger's. The sender's claim is enough for that,
/// since nothing but where a span is shown depends on it.
fn span(app: &App, received: &Received) -> Span {
    let (name, route) = if received.inbox.is_some() {
        ("POST /actors/{name}/inbox", "/actors/{name}/inbox")
    } else {
        ("POST /inbox", "/inbox")
    };
    let span = tracing::info_span!(
        "inbox",
        otel.name = name,
        otel.kind = "server",
        http.request.method = "POST",
        http.route = route,
        http.response.status_code = field::Empty,
        activitypub.activity.id = received.activity.id(),
        activitypub.activity.type = received.activity.verb(),
        activitypub.actor.id = received.activity.actor(),
    );
    if let Some(traceparent) = received
        .request
        .field("traceparent")
        .filter(|it| it.len() <= MAX_TRACEPARENT)
    {
        if app.settings.trusted_origins.contains(&received.origin) {
            telemetry::continue_trace(&span, &traceparent);
        } else {
            telemetry::link_trace(&span, &traceparent);
        }
    }
    span
}

/// Work over a body of this size or more leaves the async threads: canonical form, hash and signature of a megabyte
/// take milliseconds, those of a common activity less than handing them over. Bytes.
const LARGE: usize = 64 << 10;

/// Runs work that costs by the size of a body, beside the async threads where that is large.
async fn beside<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if size < LARGE {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "work over a large body failed");
        Refusal::new(Code::Internal, "the activity could not be read")
    })
}
