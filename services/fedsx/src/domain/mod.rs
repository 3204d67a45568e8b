//! A domain that runs: the whole of it in one process ([`Domain`]), or one role of it ([`role`]).
//!
//! Both start the same services with the same clients. In one process they are joined by an in-memory transport and may
//! keep their state in SQLite and the queue in memory; apart, by gRPC over TCP, PostgreSQL and RabbitMQ.

pub(crate) mod clients;
mod connect;
mod dependencies;
mod follows;
mod master_key;
mod process;
pub(crate) mod role;
mod seed;
mod services;
mod settings;

use std::{os::unix::fs::DirBuilderExt as _, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use fedsx_kernel::origin::Origin;
use fedsx_runtime::{
    shutdown::{self, Deadline},
    telemetry,
    token::Role,
};
use tonic::service::Routes;

pub(crate) use clients::{Clients, LogClient};
pub(crate) use connect::Connection;
pub(crate) use process::service_name;
use process::{FLOWS, Process, bind, ended, url};
pub(crate) use settings::{Flags, Settings, jaeger_url};

use crate::genesis::{Bundle, Manifest};

/// Every service of a domain.
const ALL: &[Role] = &[Role::Log, Role::Projection, Role::Delivery, Role::Gateway];
const GRPC: &[&str] = &[
    service_name(Role::Log),
    service_name(Role::Projection),
    FLOWS,
    service_name(Role::Delivery),
];

/// A domain that runs in this process.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) origin: Origin,
    pub(crate) bundle: Manifest,
    /// Clients with the operator's token.
    pub(crate) clients: Clients,
    /// Where the public listener is.
    listen: String,
    pub(crate) admin: String,
    process: Process,
    // Held until the domain ends: two processes on one folder would both number its log.
    _lock: std::fs::File,
}

impl Domain {
    /// Starts a domain and seeds its bundle; it answers peers when this returns.
    pub(crate) async fn start(settings: Settings) -> anyhow::Result<Self> {
        anyhow::ensure!(!settings.bundle.is_empty(), "`bundle` is missing: --bundle blog");
        let (bundle, manifest) = Bundle::of_domain(&settings.bundle)?;
        let lock = lock(&settings.data)?;
        let tls = settings.listen_tls()?;
        // Ports are bound first: what another process holds is told before anything is written.
        let http = bind(settings.listen, "listen").await?;
        let grpc = bind(settings.grpc_listen, "grpc_listen").await?;
        let listen = url(http.local_addr()?, tls.as_ref());
        let grpc_address = grpc.local_addr()?;

        let (process, incoming) = Process::new(settings, ALL);
        let admin = url(process.serve_admin().await?, None);
        let routes = routes(&process).await?;
        process.serve_grpc(routes, GRPC, grpc, incoming)?;
        let router = services::gateway(&process).await?;
        let clients = process.clients(Role::Operator)?;
        let origin = process.settings.origin.clone();
        // Before peers are heard: what they say is judged by all of the bundle's verbs or by none.
        seed::seed(clients.log.clone(), &origin, &bundle, &manifest).await?;
        process.serve_public(router, http, tls);
        follows::keep(
            &process.context.shutdown,
            &clients,
            &origin,
            &process.settings.follows,
        );
        process.context.readiness.started();
        let connection = Connection {
            origin: origin.clone(),
            grpc: format!("http://{grpc_address}"),
            admin: admin.clone(),
            token: process.tokens.of(Role::Operator).unwrap_or_default().to_owned(),
            jaeger: process.settings.jaeger.clone(),
        };
        connect::write(&process.settings.data, &connection)?;
        Ok(Self {
            origin,
            bundle: manifest,
            clients,
            listen,
            admin,
            process,
            _lock: lock,
        })
    }

    /// Clients with another role's token, for the benchmarks.
    pub(crate) fn clients(&self, role: Role) -> anyhow::Result<Clients> {
        self.process.clients(role)
    }

    /// Where the domain keeps its state.
    pub(crate) fn data(&self) -> &std::path::Path {
        &self.process.settings.data
    }

    /// Ends the domain; false where something had to be cut off.
    pub(crate) async fn stop(self, by: Deadline) -> bool {
        connect::remove(self.data());
        self.process.stop(by).await
    }
}

/// The gRPC services, started in the order in which they need each other.
async fn routes(process: &Process) -> anyhow::Result<Routes> {
    let master_key = Arc::new(master_key::master_key(&process.settings)?);
    let routes = services::log(process, master_key.clone(), Routes::default()).await?;
    // The folder's lock makes these names unique, and a process that starts again takes its leases back at once.
    let routes = services::projection(process, "projection".to_owned(), routes).await?;
    services::delivery(process, master_key, "delivery".to_owned(), routes).await
}

/// Makes the data folder where it is missing, and keeps other processes off it.
fn lock(data: &std::path::Path) -> anyhow::Result<std::fs::File> {
    // What is not public lies there in the clear.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("the folder {} cannot be made", data.display()))?;
    let path = data.join("lock");
    let file =
        std::fs::File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            anyhow::bail!("another process runs a domain on {}", data.display())
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// `fedsx all`: runs one domain until it is told to end.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let settings = Settings::load(flags)?;
    let telemetry = telemetry::start(&settings.telemetry("fedsx"))?;
    let domain = Domain::start(settings).await?;
    println!(
        "{} ({}) listens on {}",
        domain.origin, domain.bundle.title, domain.listen
    );
    println!("health and metrics: {}/readyz, /metrics", domain.admin);
    println!(
        "client commands: fedsx <command> --data {}",
        PathBuf::from(domain.data()).display()
    );
    let deadline = shutdown::signal().await?;
    println!("stopping");
    let soft = domain.stop(deadline).await;
    telemetry.shutdown(deadline);
    ended(soft)
}
