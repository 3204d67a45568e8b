//! A broker that a test may kill, freeze, restart and empty.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use tokio::net::TcpStream;
use url::Url;

use super::{Vhost, api::Api};
use crate::{Port, account::Account, folder, process::Process, program};

/// Recovery after a kill included, on a busy machine.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(60);

/// A private broker with its management API, on free loopback ports, in a temporary folder; killed and removed when this
/// is dropped, or when the process that holds it ends. User and password are `guest`.
#[derive(Debug)]
pub struct Server {
    // Both are dropped before the folder that they write to.
    process: Option<Process>,
    // Erlang's own name server, which a node would otherwise start and leave behind.
    _names: Process,
    account: Account,
    folder: TempDir,
    ports: Ports,
    url: Url,
    api: Url,
}

#[derive(Debug)]
struct Ports {
    amqp: Port,
    api: Port,
    names: Port,
    node: Port,
}

impl Server {
    /// A running broker with the one vhost `/`.
    pub async fn start() -> Self {
        let account = Account::of("rabbitmq").unwrap_or(Account::ours());
        let ports = Ports {
            amqp: Port::reserve(),
            api: Port::reserve(),
            names: Port::reserve(),
            node: Port::reserve(),
        };
        let folder = folder::new("fedsx-rabbitmq-", account);
        let url = format!("amqp://guest:guest@{}", ports.amqp.address());
        let api = format!("http://guest:guest@{}", ports.api.address());
        let mut server = Self {
            process: None,
            _names: names(account, &ports, folder.path()).await,
            account,
            folder,
            ports,
            url: url.parse().expect("a URL"),
            api: api.parse().expect("a URL"),
        };
        server.configure();
        server.start_again().await;
        server
    }

    /// `amqp://guest:guest@…`: the vhost `/`.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// `http://guest:guest@…/`: the management API.
    pub fn api(&self) -> &str {
        self.api.as_str()
    }

    /// Where it listens for AMQP.
    pub fn address(&self) -> SocketAddr {
        self.ports.amqp.address()
    }

    /// A new vhost on it.
    pub async fn vhost(&self) -> Vhost {
        Vhost::create_at(&self.url, Api::new(self.api.clone())).await
    }

    /// Starts it after [`Self::kill9`] or [`Self::stop`], with all it had, on the same ports.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.url);
        let log = self.folder.path().join("log");
        let process = Process::spawn(self.command("rabbitmq-server"), log, self.folder.path());
        let process = self.process.insert(process);
        let (api, port) = (Api::new(self.api.clone()), self.ports.amqp.number());
        process
            .ready("RabbitMQ", START, async || api.listens(port).await)
            .await;
    }

    /// Kills it (SIGKILL).
    pub fn kill9(&mut self) {
        drop(self.process.take().expect("a running broker"));
    }

    /// Ends it in good order.
    pub async fn stop(&mut self) {
        let process = self.process.take().expect("a running broker");
        process.signal("TERM");
        process.end("RabbitMQ", STOP).await;
    }

    /// Stops all of it where it is (SIGSTOP); its clients wait.
    pub fn freeze(&self) {
        self.process.as_ref().expect("a running broker").freeze();
    }

    /// Lets a frozen broker go on.
    pub fn thaw(&self) {
        self.process.as_ref().expect("a running broker").thaw();
    }

    /// Runs its own tool for administrators, `rabbitmqctl`, with these arguments. Takes some seconds.
    pub async fn ctl(&self, arguments: &[&str]) {
        let mut command = tokio::process::Command::from(self.command("rabbitmqctl"));
        let ran = command.args(arguments).output().await;
        let ran = ran.unwrap_or_else(|error| panic!("rabbitmqctl cannot be run: {error}"));
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "rabbitmqctl {arguments:?}: {told}");
    }

    /// Kills it and lets it come back without anything that it had: no queue, no message, and of these vhosts, whose
    /// other users still hold them, but the names.
    pub async fn wipe(&mut self, vhosts: &[&Vhost]) {
        if self.process.is_some() {
            self.kill9();
        }
        let data = self.data();
        fs::remove_dir_all(&data).unwrap_or_else(|error| panic!("{}: {error}", data.display()));
        self.start_again().await;
        for vhost in vhosts {
            vhost.create_again().await;
        }
    }

    fn configure(&self) {
        let loopback = Ipv4Addr::LOCALHOST;
        let port = self.ports.api.number();
        let config = format!("management.tcp.ip = {loopback}\nmanagement.tcp.port = {port}\n");
        for (name, content) in [
            ("rabbitmq.conf", config.as_str()),
            ("plugins", "[rabbitmq_management].\n"),
        ] {
            let path = self.folder.path().join(name);
            fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            self.account.owns(&path);
        }
    }

    fn command(&self, program: &str) -> Command {
        let folder = self.folder.path();
        let node = format!("fedsx{}@localhost", self.ports.node.number());
        let mut command = self
            .account
            .command(&program::find(program, &program::rabbitmq()));
        names_environment(&mut command, &self.ports, folder)
            .env("RABBITMQ_NODENAME", node)
            .env("RABBITMQ_NODE_IP_ADDRESS", Ipv4Addr::LOCALHOST.to_string())
            .env("RABBITMQ_NODE_PORT", self.ports.amqp.number().to_string())
            .env("RABBITMQ_DIST_PORT", self.ports.node.number().to_string())
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            // What the machine's administrator wrote for the machine's broker.
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("rabbitmq-env.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.data())
            .env("RABBITMQ_LOG_BASE", folder)
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", folder.join("pid"));
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// Starts a name server for one node.
async fn names(account: Account, ports: &Ports, folder: &Path) -> Process {
    let mut command = account.command(&program::find("epmd", &program::rabbitmq()));
    names_environment(&mut command, ports, folder);
    let mut process = Process::spawn(command, folder.join("epmd.log"), folder);
    let address = ports.names.address();
    process
        .ready("epmd", START, async || {
            TcpStream::connect(address).await.map(drop)
        })
        .await;
    process
}

fn names_environment<'a>(command: &'a mut Command, ports: &Ports, folder: &Path) -> &'a mut Command {
    command
        .env("ERL_EPMD_PORT", ports.names.number().to_string())
        .env("ERL_EPMD_ADDRESS", Ipv4Addr::LOCALHOST.to_string())
        // Where Erlang keeps the cookie that nodes and tools know each other by.
        .env("HOME", folder)
        .current_dir(folder)
}
