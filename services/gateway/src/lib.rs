//! The edge towards peers: inboxes, actor documents, collections and discovery.
//!
//! Enter by [`start`], which answers a router to be served under the domain's public origin. The gateway keeps no state
//! of its own: what it accepts it appends to the log, what it serves it reads from the log and the projection's views,
//! and what it knows of peers it caches over the log's kv, so that any number of gateways may run. What they
//! read they believe for moments (`peers`, `inbox::standing`), what is stored for strangers they count together (`quota`),
//! and rates each counts for itself (`limit`).
//!
//! A new resource is a file with its handler and one line in `router`. A new check of what peers post goes into
//! `inbox`, at the place that its cost belongs.

mod activities;
mod actors;
mod blobs;
mod collections;
mod discovery;
mod flows;
mod home;
mod inbox;
mod limit;
mod local_actor;
mod log;
mod measure;
mod media;
mod objects;
mod peers;
mod quota;
mod ready;
mod router;
mod settings;
mod signed_request;
mod types;
mod upstream;
mod views;

use std::sync::Arc;

use axum::Router;
pub(crate) use fedsx_runtime::problem;
use fedsx_runtime::{
    Context,
    fetch::Fetcher,
    transport::{Authorised, MAX_MESSAGE},
};

use crate::{
    collections::follows::Tallies,
    flows::Flows,
    inbox::{budget::Budget, standing::Standings},
    limit::Limits,
    local_actor::Seen,
    log::Log,
    measure::Measures,
    peers::Peers,
    quota::StrangerQuota,
    views::Views,
};
pub use settings::{Rate, Settings};

/// A client of the log.
pub type LogClient = fedsx_proto::v1::log_client::LogClient<Authorised>;
/// A client of the projection.
pub type ProjectionClient = fedsx_proto::v1::projection_client::ProjectionClient<Authorised>;
/// A client of the projection's flows.
pub type FlowsClient = fedsx_proto::v1::flows_client::FlowsClient<Authorised>;

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the gateway's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What every handler shares.
#[derive(Debug)]
struct Gateway {
    settings: Settings,
    log: Log,
    views: Views,
    flows: Flows,
    peers: Peers,
    standings: Standings,
    local_actors: Seen,
    tallies: Tallies,
    limits: Limits,
    quota: StrangerQuota,
    bodies: Budget,
    blobs: Budget,
    measures: Measures,
    context: Context,
}

type App = Arc<Gateway>;

/// Makes the gateway of a domain. The clients carry the gateway's role; the router wants the client's address as
/// `ConnectInfo<SocketAddr>` in a request's extensions, and counts all clients as one where it is missing.
///
/// What the gateway needs of others is told to `context.readiness` every two seconds (parts `log` and `projection`);
/// until the first answers it is not ready. Its tasks end with `context.shutdown`.
///
/// # Errors
/// [`StartError`] where the metrics are registered already.
pub async fn start(
    settings: Settings,
    log: LogClient,
    projection: ProjectionClient,
    flows: FlowsClient,
    fetcher: Fetcher,
    context: Context,
) -> Result<Router, StartError> {
    let measures = Measures::register(&context.metrics)?;
    let log = Log::new(
        log.max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE),
        measures.appends.clone(),
    );
    let projection = projection
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let flows = flows
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let peers = Peers::new(
        log.clone(),
        fetcher,
        context.clock.clone(),
        settings.fetch_rate,
        &measures,
    );
    let app = Arc::new(Gateway {
        views: Views::new(projection, log.clone()),
        flows: Flows::new(flows),
        log,
        peers,
        standings: Standings::default(),
        local_actors: Seen::default(),
        tallies: Tallies::default(),
        limits: Limits::new(&settings),
        quota: StrangerQuota::new(settings.stranger_quota),
        bodies: Budget::new(settings.body_budget, settings.client_body_budget),
        blobs: Budget::new(settings.blob_budget, settings.client_blob_budget),
        measures,
        settings,
        context,
    });
    ready::begin(&app.context.readiness);
    app.context.shutdown.spawn(ready::keep(app.clone()));
    app.context.shutdown.spawn(limit::housekeeping(app.clone()));
    Ok(router::router(app))
}
