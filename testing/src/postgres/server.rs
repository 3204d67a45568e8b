//! A server that a test may kill, freeze and restart.

use std::{net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use tempfile::TempDir;
use url::Url;

use super::{Database, database};
use crate::{Port, account::Account, folder, process::Process, program};

/// Recovery after a kill included, on a busy machine.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);
/// Several domains of several replicas, each with a pool.
const CONNECTIONS: u32 = 600;

/// A private server on a free loopback port, in a temporary folder; killed and removed when this is dropped, or when the
/// process that holds it ends. It never syncs to disk: a killed server loses nothing by that, only a killed machine.
#[derive(Debug)]
pub struct Server {
    // Dropped before the folder that it writes to.
    process: Option<Process>,
    account: Account,
    folder: TempDir,
    port: Port,
    url: Url,
}

impl Server {
    /// A running server.
    pub async fn start() -> Self {
        let account = Account::of("postgres")
            .expect("PostgreSQL does not run as root, and there is no user postgres: install its package");
        let port = Port::reserve();
        let url = format!("postgres://postgres@{}/postgres", port.address());
        let mut server = Self {
            process: None,
            folder: folder::new("fedsx-postgres-", account),
            account,
            port,
            url: url.parse().expect("a URL"),
        };
        server.init().await;
        server.start_again().await;
        server
    }

    /// `postgres://…/postgres`, as a superuser.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A new database on it.
    pub async fn database(&self) -> Database {
        Database::create_at(self.url.clone()).await
    }

    /// Starts it after [`Self::kill9`] or [`Self::stop`], with all it had, on the same port.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.url);
        let mut command = self.command("postgres");
        command
            .args(["-p", &self.port.number().to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", &format!("max_connections={CONNECTIONS}")])
            .args(["-c", "fsync=off"]);
        let log = self.folder.path().join("log");
        let process = Process::spawn(command, log, self.folder.path());
        let process = self.process.insert(process);
        let url = &self.url;
        process
            .ready("PostgreSQL", START, async || {
                database::execute(url, "select".to_owned()).await
            })
            .await;
    }

    /// Kills it with all its backends (SIGKILL).
    pub fn kill9(&mut self) {
        drop(self.process.take().expect("a running server"));
    }

    /// Ends it in good order: its clients are told, and what they have under way is rolled back (a fast shutdown).
    pub async fn stop(&mut self) {
        let process = self.process.take().expect("a running server");
        process.signal("INT");
        process.end("PostgreSQL", STOP).await;
    }

    /// Stops it with all its backends where they are (SIGSTOP); its clients wait.
    pub fn freeze(&self) {
        self.process.as_ref().expect("a running server").freeze();
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.process.as_ref().expect("a running server").thaw();
    }

    async fn init(&self) {
        let mut command = self.command("initdb");
        command.args(["--username=postgres", "--auth=trust", "--no-sync"]);
        command.args(["--encoding=UTF8", "--locale=C"]);
        let shown = format!("{command:?}");
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output
            .expect("a task")
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert!(
            output.status.success(),
            "{shown}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// A program of the server's, on its data.
    fn command(&self, name: &str) -> Command {
        let mut command = self.account.command(&program::find(name, &program::postgres()));
        command.arg("-D").arg(self.data()).current_dir(self.folder.path());
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}
