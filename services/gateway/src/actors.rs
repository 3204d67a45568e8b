//! Actor documents: `GET /actors/{name}`, and the domain's own Service actor at `GET /`. Served unsigned, so that no
//! two domains wait for each other's keys.

use axum::{extract::State, response::Response};
use http::HeaderMap;

use crate::{
    App, home,
    local_actor::{LocalActor, find},
    media::{self, Keep, Media},
    problem::Problem,
};

/// The media types of the base: a person who opens the origin in a browser gets a page.
const BASE: [Media; 4] = [Media::Activity, Media::LinkedData, Media::Html, Media::Json];

/// `GET /actors/{name}`
pub(crate) async fn named(
    State(app): State<App>,
    LocalActor(actor): LocalActor,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = find(&app, &actor).await?;
    Ok(media::document(&headers, Keep::Minutes, &row.document))
}

/// `GET /`
pub(crate) async fn base(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let row = find(&app, &app.settings.origin.base()).await?;
    let media = media::preferred(&headers, &BASE);
    let body = match media {
        Media::Html => home::page(&app.settings.origin, &row.document),
        _ => row.document.to_string(),
    };
    Ok(media::answer(media, Keep::Minutes, body))
}
