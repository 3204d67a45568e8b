//! Every route of the gateway.

use axum::{
    Router, middleware,
    routing::{get, post},
};
use fedsx_runtime::code::Code;

use crate::{
    App, activities, actors, blobs,
    collections::{follows, outbox},
    discovery::{nodeinfo, webfinger},
    flows, inbox, limit, measure, objects,
    problem::Problem,
    types,
};

/// The routes over what they share.
pub(crate) fn router(app: App) -> Router {
    public()
        .route_layer(middleware::from_fn_with_state(app.clone(), limit::by_client))
        .fallback(async || Problem::new(Code::NotFound, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::MethodNotAllowed,
                "the resource does not answer this method; see `Allow`",
            )
        })
        .layer(middleware::from_fn_with_state(app.clone(), measure::requests))
        .with_state(app)
}

/// What peers and people ask for.
fn public() -> Router<App> {
    Router::new()
        .route("/", get(actors::base))
        .route("/inbox", post(inbox::shared))
        .route("/outbox", get(outbox::outbox))
        .route("/followers", get(follows::followers))
        .route("/following", get(follows::following))
        .route("/actors/{name}", get(actors::named))
        .route("/actors/{name}/inbox", post(inbox::personal))
        .route("/actors/{name}/outbox", get(outbox::outbox))
        .route("/actors/{name}/followers", get(follows::followers))
        .route("/actors/{name}/following", get(follows::following))
        .route("/activities", get(activities::all))
        .route("/activities/{cid}", get(activities::one))
        .route("/flows", get(flows::page).post(flows::start))
        .route("/flows/{id}", get(flows::one))
        .route("/flows/{id}/resume", post(flows::resume))
        .route("/flows/{id}/retry", post(flows::retry))
        .route("/flows/{id}/cancel", post(flows::cancel))
        .route("/behaviours", get(flows::behaviours))
        .route("/types/{cid}", get(types::type_record))
        .route("/blobs/{cid}", get(blobs::blob))
        .route("/objects/{*path}", get(objects::object))
        .route("/.well-known/webfinger", get(webfinger::webfinger))
        .route("/.well-known/nodeinfo", get(nodeinfo::links))
        .route("/nodeinfo/2.1", get(nodeinfo::nodeinfo))
}
