//! `GET /…/outbox`: what an actor published for everyone.

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use fedsx_kernel::stream::Stream;
use http::HeaderMap;

use super::{Ask, entries::Entries};
use crate::{
    App,
    local_actor::{LocalActor, find},
    problem::Problem,
};

pub(crate) async fn outbox(
    State(app): State<App>,
    LocalActor(actor): LocalActor,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ask = Ask::parse(query.as_deref())?;
    find(&app, &actor).await?;
    let entries = Entries {
        id: below(&actor, "outbox"),
        stream: Stream::Outbox(actor).to_string(),
        shows_items: false,
    };
    entries.answer(&app, ask, &headers).await
}

/// A collection's URL below its actor's id.
pub(super) fn below(actor: &str, collection: &str) -> String {
    format!("{}/{collection}", actor.trim_end_matches('/'))
}
