//! Starting a domain's services in the order in which they need each other.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context as _;
use fedsx_kernel::origin::Origin;
use fedsx_runtime::{
    Context,
    fetch::{Fetcher, Policy},
    keyring::MasterKey,
    serve,
    token::{Credentials, Guard, Role, Tokens},
    transport::{self, Memory},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    service::{Routes, interceptor::InterceptedService},
    transport::Server,
};

use super::{Clients, Connection, Settings};

/// The services of a domain that runs.
#[derive(Debug)]
pub(super) struct Services {
    pub(super) origin: Origin,
    pub(super) context: Context,
    pub(super) listen: SocketAddr,
    pub(super) connection: Connection,
    memory: Memory,
    tokens: Tokens,
}

impl Services {
    pub(super) fn operator(&self) -> Clients {
        self.clients(Role::Operator)
    }

    pub(super) fn clients(&self, role: Role) -> Clients {
        Clients::new(&self.memory.channel(), &Credentials::of(&self.tokens, role))
    }
}

/// Starts every service. The HTTP port is bound first: what another process holds is told before anything is written.
pub(super) async fn start(settings: Settings) -> anyhow::Result<Services> {
    let http = bind(settings.listen, "listen").await?;
    let grpc = bind(settings.grpc_listen, "grpc_listen").await?;
    let context = Context::default();
    let master_key = Arc::new(master_key(&settings)?);
    let fetcher = Fetcher::new(Policy::new(settings.plain_peers.clone()).context("`plain_peers`")?)?;
    let tokens = Tokens::generate();
    let (memory, incoming) = transport::memory();
    let (listen, grpc_address) = (http.local_addr()?, grpc.local_addr()?);
    let services = Services {
        origin: settings.origin.clone(),
        context: context.clone(),
        listen,
        connection: Connection {
            origin: settings.origin.clone(),
            grpc: format!("http://{grpc_address}"),
            token: tokens.of(Role::Operator).unwrap_or_default().to_owned(),
        },
        memory,
        tokens: tokens.clone(),
    };

    let routes = routes(&settings, &services, master_key, fetcher.clone()).await?;
    let stop = context.shutdown.token();
    let server = Server::builder().add_routes(routes.clone());
    context
        .shutdown
        .spawn(server.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned()));
    let server = Server::builder().add_routes(routes);
    let tcp = TcpListenerStream::new(grpc);
    context
        .shutdown
        .spawn(server.serve_with_incoming_shutdown(tcp, stop.clone().cancelled_owned()));

    let gateway = services.clients(Role::Gateway);
    let mut edge = fedsx_gateway::Settings::new(settings.origin.clone());
    edge.trusted_origins = settings.trusted_origins.into_iter().collect();
    edge.client_address_header = settings.client_address_header;
    if !settings.limited {
        (edge.client_rate, edge.origin_rate) = (None, None);
    }
    let router =
        fedsx_gateway::start(edge, gateway.log, gateway.projection, fetcher, context.clone()).await?;
    context.shutdown.spawn(serve::serve(http, router, stop));
    Ok(services)
}

/// The gRPC services, each behind the guard of the roles' tokens.
async fn routes(
    settings: &Settings,
    services: &Services,
    master_key: Arc<MasterKey>,
    fetcher: Fetcher,
) -> anyhow::Result<Routes> {
    let (context, origin) = (&services.context, &settings.origin);
    let guard = Guard(services.tokens.clone());

    let store = fedsx_log::store::sqlite::open(&settings.data.join("log.db")).await?;
    let log = fedsx_log::start(
        fedsx_log::Settings::new(origin.clone(), master_key.clone()),
        Arc::new(store),
        context.clone(),
    )
    .await?;

    let store =
        fedsx_projection::store::sqlite::open(&settings.data.join("projection.db"), context.clock.clone())
            .await?;
    let mut views = fedsx_projection::Settings::new(origin.clone());
    // The folder's lock makes this name unique, and a process that starts again takes its leases back at once.
    "projection".clone_into(&mut views.owner);
    let projection = fedsx_projection::start(
        views,
        Arc::new(store),
        services.clients(Role::Projection).log,
        context.clone(),
    )
    .await?;

    let ledger =
        fedsx_delivery::ledger::sqlite::open(&settings.data.join("delivery.db"), context.clock.clone())
            .await?;
    let delivery = fedsx_delivery::start(
        fedsx_delivery::Settings::new(origin.clone(), master_key),
        Arc::new(ledger),
        Arc::new(fedsx_delivery::broker::embedded::Embedded::default()),
        services.clients(Role::Delivery).log,
        fetcher,
        context.clone(),
    )
    .await?;

    Ok(Routes::new(InterceptedService::new(log, guard.clone()))
        .add_service(InterceptedService::new(projection, guard.clone()))
        .add_service(InterceptedService::new(delivery, guard)))
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("`{key}`: {address} cannot be bound"))
}

/// The configured master key, or the one kept in the data folder.
fn master_key(settings: &Settings) -> anyhow::Result<MasterKey> {
    match &settings.master_key {
        Some(text) => MasterKey::parse(text).context("`master_key`"),
        None => kept_master_key(&settings.data.join("master.key")),
    }
}

fn kept_master_key(path: &Path) -> anyhow::Result<MasterKey> {
    if !path.exists() {
        // A new key would open nothing that the old one sealed.
        let log = path.with_file_name("log.db");
        anyhow::ensure!(
            !log.exists(),
            "{} is missing, and {} has keys that it sealed: restore it",
            path.display(),
            log.display()
        );
        super::connect::write_secret(path, MasterKey::generate().as_bytes())?;
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    MasterKey::parse(&text).with_context(|| path.display().to_string())
}
