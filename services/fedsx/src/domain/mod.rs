//! A whole domain in one process: every service on the embedded store and queue, joined by an in-memory transport.

mod bundle;
mod clients;
mod connect;
mod follows;
mod seed;
mod services;
mod settings;

use std::{net::SocketAddr, os::unix::fs::DirBuilderExt as _, path::PathBuf, time::Duration};

use anyhow::Context as _;
use fedsx_kernel::origin::Origin;
use fedsx_runtime::{shutdown, telemetry};

pub(crate) use bundle::Bundle;
pub(crate) use clients::{Clients, LogClient};
pub(crate) use connect::Connection;
pub(crate) use settings::{Flags, Settings};

/// How long services may take to end after a signal.
const DEADLINE: Duration = Duration::from_secs(15);

/// A domain that runs.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) origin: Origin,
    pub(crate) bundle: Bundle,
    /// Clients with the operator's token.
    pub(crate) clients: Clients,
    pub(crate) listen: SocketAddr,
    services: services::Services,
    data: PathBuf,
    // Held until the domain ends: two processes on one folder would both number its log.
    _lock: std::fs::File,
}

impl Domain {
    /// Starts a domain and seeds its bundle; it answers peers when this returns.
    pub(crate) async fn start(settings: Settings) -> anyhow::Result<Self> {
        let bundle = Bundle::load(&settings.bundle)?;
        let data = settings.data.clone();
        // What is not public lies there in the clear.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&data)
            .with_context(|| format!("the folder {} cannot be made", data.display()))?;
        let lock = lock(&data)?;
        let follows = settings.follows.clone();
        let services = services::start(settings).await?;
        let clients = services.operator();
        seed::seed(clients.log.clone(), &bundle).await?;
        connect::write(&data, &services.connection)?;
        let origin = services.origin.clone();
        follows::keep(&services.context.shutdown, &clients, &origin, follows);
        Ok(Self {
            origin,
            bundle,
            clients,
            listen: services.listen,
            services,
            data,
            _lock: lock,
        })
    }

    /// Clients with another role's token, for the benchmarks.
    pub(crate) fn clients(&self, role: fedsx_runtime::token::Role) -> Clients {
        self.services.clients(role)
    }

    /// Where the domain keeps its state.
    pub(crate) fn data(&self) -> &std::path::Path {
        &self.data
    }

    /// Ends the domain; false where something had to be cut off.
    pub(crate) async fn stop(self) -> bool {
        connect::remove(&self.data);
        self.services.context.shutdown.finish(DEADLINE).await
    }
}

fn lock(data: &std::path::Path) -> anyhow::Result<std::fs::File> {
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
    let telemetry = telemetry::start(&settings.telemetry())?;
    let domain = Domain::start(settings).await?;
    println!(
        "{} ({}) listens on http://{}",
        domain.origin, domain.bundle.title, domain.listen
    );
    println!(
        "client commands: fedsx <command> --data {}",
        domain.data.display()
    );
    shutdown::signal().await?;
    println!("stopping");
    let soft = domain.stop().await;
    telemetry.shutdown();
    anyhow::ensure!(
        soft,
        "some work was cut off after {} s; nothing that was acknowledged is lost",
        DEADLINE.as_secs()
    );
    Ok(())
}
