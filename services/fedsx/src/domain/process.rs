//! One process of a domain: what its services share, and the listeners in front of them.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use fedsx_proto::v1;
use fedsx_runtime::{
    Context, admin, grpc,
    health::Readiness,
    serve,
    shutdown::{Deadline, PROMISE, Shutdown},
    tls::ServerTls,
    token::{Credentials, Role, Tokens},
    transport::{self, Channel, Incoming, Memory},
};
use tokio::net::TcpListener;
use tonic::{service::Routes, transport::server::TcpIncoming};

use super::{Clients, Settings};

/// Connections of one client; it may have half as many requests under way.
const CONNECTIONS_OF_ONE_CLIENT: usize = 512;

/// A process of a domain: the whole of it, or one role.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) settings: Settings,
    pub(super) context: Context,
    /// Those that are configured, and random ones for the other roles.
    pub(super) tokens: Tokens,
    /// The services that run here; the others are away.
    here: &'static [Role],
    memory: Memory,
}

impl Process {
    /// A process that runs these services, and the memory's end that they are to be served on.
    pub(super) fn new(settings: Settings, here: &'static [Role]) -> (Self, Incoming) {
        let (memory, incoming) = transport::memory();
        let process = Self {
            tokens: settings.internal.tokens.clone().complete(),
            context: Context {
                readiness: Readiness::starting(),
                ..Context::default()
            },
            settings,
            here,
            memory,
        };
        (process, incoming)
    }

    /// Whether the whole domain runs here.
    pub(super) fn is_whole(&self) -> bool {
        self.here.len() > 1
    }

    /// The way to a service, here or away.
    pub(super) fn channel(&self, service: Role) -> anyhow::Result<Channel> {
        if self.here.contains(&service) {
            return Ok(self.memory.channel());
        }
        let (internal, urls) = (&self.settings.internal, &self.settings.internal.urls);
        match service {
            Role::Projection => internal.channel("projection_urls", &urls.projection),
            Role::Delivery => internal.channel("delivery_urls", &urls.delivery),
            _ => internal.channel("log_urls", &urls.log),
        }
    }

    /// What a role shows to the services it calls.
    pub(super) fn credentials(&self, role: Role) -> anyhow::Result<Credentials> {
        anyhow::ensure!(
            self.is_whole() || self.settings.internal.tokens.of(role).is_some(),
            "`token_{}` is missing: a secret that the services which it calls are given too",
            role.as_str()
        );
        Ok(Credentials::of(&self.tokens, role))
    }

    /// Clients of every service in this role.
    pub(super) fn clients(&self, role: Role) -> anyhow::Result<Clients> {
        Ok(Clients::new(
            self.channel(Role::Log)?,
            self.channel(Role::Projection)?,
            self.channel(Role::Delivery)?,
            &self.credentials(role)?,
        ))
    }

    /// A client of a log that runs here, with the operator's rights.
    pub(super) fn own_log(&self) -> super::LogClient {
        let credentials = Credentials::of(&self.tokens, Role::Operator);
        super::clients::log(self.memory.channel(), &credentials)
    }

    /// Serves health and metrics, from before the services start until after they have ended.
    pub(super) async fn serve_admin(&self) -> anyhow::Result<SocketAddr> {
        let listener = bind(self.settings.admin_listen, "admin_listen").await?;
        let address = listener.local_addr()?;
        let router = admin::router(&self.context);
        tokio::spawn(serve::Server::new(router).run(listener, Shutdown::default()));
        Ok(address)
    }

    /// Serves the gRPC services of this process over memory and TCP.
    pub(super) fn serve_grpc(
        &self,
        routes: Routes,
        services: &'static [&'static str],
        listener: TcpListener,
        incoming: Incoming,
    ) -> anyhow::Result<()> {
        let shutdown = &self.context.shutdown;
        let readiness = &self.context.readiness;
        let descriptors = fedsx_proto::FILE_DESCRIPTOR_SET;
        let routes = grpc::with_health_and_reflection(routes, services, descriptors, readiness, shutdown)?;
        let tcp = TcpIncoming::from(listener).with_nodelay(Some(true));
        let tls = self.settings.internal.server_tls.clone();
        let (over_memory, over_tcp, ending) = (routes.clone(), routes, shutdown.clone());
        shutdown.spawn(async move { report(grpc::serve(over_memory, incoming, None, &ending).await) });
        let ending = shutdown.clone();
        shutdown.spawn(async move { report(grpc::serve(over_tcp, tcp, tls, &ending).await) });
        Ok(())
    }

    /// Serves the public router; to clients that connect themselves, each its share of the connections.
    pub(super) fn serve_public(&self, router: Router, listener: TcpListener, tls: Option<ServerTls>) {
        let mut server = serve::Server::new(router).with_tls(tls);
        if self.settings.limited && self.settings.client_address_header.is_none() {
            server = server.shared(CONNECTIONS_OF_ONE_CLIENT);
        }
        let shutdown = &self.context.shutdown;
        shutdown.spawn(server.run(listener, shutdown.clone()));
    }

    /// Ends everything; false where something had to be cut off.
    pub(super) async fn stop(&self, by: Deadline) -> bool {
        self.context.readiness.stopping();
        self.context.shutdown.leave(by).await
    }
}

/// What a process says at its end where it had to cut something off.
pub(super) fn ended(soft: bool) -> anyhow::Result<()> {
    anyhow::ensure!(
        soft,
        "some work was cut off, to leave within {} s; nothing that was acknowledged is lost",
        PROMISE.as_secs()
    );
    Ok(())
}

/// How a listener is reached.
pub(super) fn url(address: SocketAddr, tls: Option<&ServerTls>) -> String {
    let scheme = if tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// What the projection answers beside its views.
pub(super) const FLOWS: &str = v1::flows_server::SERVICE_NAME;

/// The full names of the gRPC services.
pub(crate) const fn service_name(role: Role) -> &'static str {
    match role {
        Role::Projection => v1::projection_server::SERVICE_NAME,
        Role::Delivery => v1::delivery_server::SERVICE_NAME,
        _ => v1::log_server::SERVICE_NAME,
    }
}

fn report(served: Result<(), tonic::transport::Error>) {
    if let Err(error) = served {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the gRPC server has ended"
        );
    }
}

/// Binds a listener; what another process holds is told by the key that names it.
pub(super) async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("`{key}`: {address} cannot be bound"))
}
