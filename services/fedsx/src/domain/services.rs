//! Starting each service on the backends that the settings name.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use fedsx_delivery::{broker::Broker, ledger::Ledger};
use fedsx_log::blob::BlobStore;
use fedsx_runtime::{
    fetch::Fetcher,
    keyring::MasterKey,
    token::{Guard, Role},
};
use tonic::service::{Routes, interceptor::InterceptedService};

use super::process::Process;

/// Starts the log.
pub(super) async fn log(
    process: &Process,
    master_key: Arc<MasterKey>,
    routes: Routes,
) -> anyhow::Result<Routes> {
    let (settings, context) = (&process.settings, process.context.clone());
    let store: Arc<dyn fedsx_log::store::Store> = match &settings.database {
        Some(url) => Arc::new(fedsx_log::store::postgres::open(url).await?),
        None => Arc::new(fedsx_log::store::sqlite::open(&settings.data.join("log.db")).await?),
    };
    let mut own = fedsx_log::Settings::new(settings.origin.clone(), master_key);
    own.strict_object_schema = settings.strict_object_schema;
    own.blobs = blobs(process)?;
    let server = fedsx_log::start(own, store, context).await?;
    Ok(routes.add_service(InterceptedService::new(server, guard(process))))
}

/// Where the domain's blobs lie; a role that is told of no place has none, since its replicas would have to share it.
fn blobs(process: &Process) -> anyhow::Result<Option<BlobStore>> {
    let settings = &process.settings;
    let max_bytes = settings.blob_max_bytes;
    let opened = match &settings.blobs {
        Some(url) => BlobStore::open(url, max_bytes),
        None if process.is_whole() => BlobStore::folder(&settings.data.join("blobs"), max_bytes),
        None => return Ok(None),
    };
    opened.map(Some).context("`blobs`")
}

/// Starts the projection. `owner` is its name among its replicas.
pub(super) async fn projection(process: &Process, owner: String, routes: Routes) -> anyhow::Result<Routes> {
    let (settings, context) = (&process.settings, process.context.clone());
    let store: Arc<dyn fedsx_projection::store::Store> = match &settings.database {
        Some(url) => Arc::new(fedsx_projection::store::postgres::open(url).await?),
        None => {
            let path = settings.data.join("projection.db");
            Arc::new(fedsx_projection::store::sqlite::open(&path, context.clock.clone()).await?)
        }
    };
    let mut own = fedsx_projection::Settings::new(settings.origin.clone());
    own.owner = owner;
    own.snapshots = settings.snapshots;
    own.effects.clone_from(&settings.flow_effects);
    own.flows_kept = settings.flows_kept;
    own.mailer.clone_from(&settings.mailer);
    let credentials = process.credentials(Role::Projection)?;
    let log = super::clients::log(process.channel(Role::Log)?, &credentials);
    let served = fedsx_projection::start(own, store, log, context).await?;
    let mut routes = routes
        .add_service(InterceptedService::new(served.grpc, guard(process)))
        .add_service(InterceptedService::new(served.flows, guard(process)));
    let router = std::mem::take(routes.axum_router_mut());
    *routes.axum_router_mut() = router.merge(guard(process).over(served.http));
    Ok(routes)
}

/// Starts delivery. `owner` is its name among its replicas.
pub(super) async fn delivery(
    process: &Process,
    master_key: Arc<MasterKey>,
    owner: String,
    routes: Routes,
) -> anyhow::Result<Routes> {
    let (settings, context) = (&process.settings, process.context.clone());
    let ledger: Arc<dyn Ledger> = match &settings.database {
        Some(url) => Arc::new(fedsx_delivery::ledger::postgres::open(url).await?),
        None => {
            let path = settings.data.join("delivery.db");
            Arc::new(fedsx_delivery::ledger::sqlite::open(&path, context.clock.clone()).await?)
        }
    };
    let broker: Arc<dyn Broker> = match &settings.broker {
        Some(url) => Arc::new(fedsx_delivery::broker::rabbitmq::open(url, &owner, &context)?),
        None => Arc::new(fedsx_delivery::broker::embedded::Embedded::default()),
    };
    let mut own = fedsx_delivery::Settings::new(settings.origin.clone(), master_key);
    own.owner = owner;
    own.workers = settings.workers;
    let credentials = process.credentials(Role::Delivery)?;
    let log = super::clients::log(process.channel(Role::Log)?, &credentials);
    let server = fedsx_delivery::start(own, ledger, broker, log, fetcher(process)?, context).await?;
    Ok(routes.add_service(InterceptedService::new(server, guard(process))))
}

/// Starts the gateway.
pub(super) async fn gateway(process: &Process) -> anyhow::Result<Router> {
    let settings = &process.settings;
    let mut own = fedsx_gateway::Settings::new(settings.origin.clone());
    own.trusted_origins = settings.trusted_origins.iter().cloned().collect();
    own.type_fetch = settings.type_fetch;
    own.strict_object_schema = settings.strict_object_schema;
    own.client_address_header = settings.client_address_header.clone();
    if !settings.limited {
        (own.client_rate, own.origin_rate) = (None, None);
    }
    let credentials = process.credentials(Role::Gateway)?;
    let log = super::clients::log(process.channel(Role::Log)?, &credentials);
    let projection = super::clients::projection(process.channel(Role::Projection)?, &credentials);
    let flows = super::clients::flows(process.channel(Role::Projection)?, &credentials);
    let context = process.context.clone();
    Ok(fedsx_gateway::start(own, log, projection, flows, fetcher(process)?, context).await?)
}

fn guard(process: &Process) -> Guard {
    Guard(process.tokens.clone())
}

fn fetcher(process: &Process) -> anyhow::Result<Fetcher> {
    Ok(Fetcher::new(process.settings.peers.clone())?)
}
