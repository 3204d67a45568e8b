//! A domain as a process of its own.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use fedsx_testing::Port;
use tempfile::TempDir;

use crate::{
    Domain, Proxy, answer, binary,
    domain::{Connection, clean, connection},
    eventually,
    process::Process,
};

/// A debug binary on a busy machine starts within this time, or not at all.
const START: Duration = Duration::from_secs(60);

/// A domain that runs, or can, in a process of its own: `fedsx all` on a loopback port and a folder that it keeps over
/// restarts.
#[derive(Debug)]
pub struct Node {
    domain: Domain,
    bundle: &'static str,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    process: Process,
    // Reserved for as long as the node may come back.
    port: Port,
    data: PathBuf,
    // Holds the process's log, and `data` where it is not another's. Removed after the process has ended.
    _folder: TempDir,
}

impl Node {
    /// A running blog; its bundle has the actor `author`.
    pub async fn blog() -> Self {
        Self::stopped("blog").started().await
    }

    /// A running events site; its bundle has the actor `main`.
    pub async fn events() -> Self {
        Self::stopped("events").started().await
    }

    /// A domain that has a port and a folder, and does not run yet.
    pub fn stopped(bundle: &'static str) -> Self {
        let port = Port::reserve();
        let origin = port.origin();
        let folder = folder();
        Self::new(bundle, &origin, port, folder.path().join("data"), folder)
    }

    /// A domain with this port, on a folder that is there already or will be; it does not run yet.
    pub fn on(bundle: &'static str, port: Port, data: PathBuf) -> Self {
        let origin = port.origin();
        Self::new(bundle, &origin, port, data, folder())
    }

    /// A domain whose peers reach it through a proxy; it does not run yet.
    pub fn behind(proxy: &Proxy, bundle: &'static str) -> Self {
        let (port, folder) = (Port::reserve(), folder());
        proxy.leads_to(port.address());
        let listen = port.address().to_string();
        let node = Self::new(bundle, &proxy.origin(), port, folder.path().join("data"), folder);
        node.with(&["--listen", &listen])
    }

    /// A domain at a public host that nobody resolves: who is to reach it is told where, as in a cluster. It does not run yet.
    pub fn inside(bundle: &'static str, host: &str) -> Self {
        let (port, folder) = (Port::reserve(), folder());
        let (origin, listen) = (format!("https://{host}"), port.address().to_string());
        let mut node = Self::new(bundle, &origin, port, folder.path().join("data"), folder);
        node.flags.clear();
        node.with(&["--listen", &listen])
    }

    fn new(bundle: &'static str, origin: &str, port: Port, data: PathBuf, folder: TempDir) -> Self {
        let log = folder.path().join("fedsx.log");
        Self {
            domain: Domain::in_folder(origin, &data),
            bundle,
            flags: ["--plain-peer", "http://127.0.0.1:*"].map(str::to_owned).into(),
            environment: Vec::new(),
            process: Process::new(format!("{origin} ({bundle})"), log),
            port,
            data,
            _folder: folder,
        }
    }

    /// With more flags of `fedsx all`, from the next start on.
    #[must_use]
    pub fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// With a variable in its environment, from the next start on.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it.
    pub async fn started(mut self) -> Self {
        self.start().await;
        self
    }

    /// Starts the process and waits until it is ready and client commands find it.
    pub async fn start(&mut self) {
        self.spawn();
        let name = format!("{} is ready", self.domain.origin());
        eventually(&name, START, async || {
            self.process.assert_runs();
            let connection = connection(&self.data)?;
            let ready = answer::client().get(format!("{}/readyz", connection.admin));
            let answer = answer::send(ready).await.map_err(|error| error.to_string())?;
            answer.status.is_success().then_some(()).ok_or(answer.to_string())
        })
        .await;
    }

    /// Starts the process and kills it as soon as a file of its data folder is there.
    pub async fn start_and_kill_at(&mut self, file: &str) {
        self.spawn();
        let path = self.data.join(file);
        eventually(&format!("{} is there", path.display()), START, async || {
            self.process.assert_runs();
            path.exists().then_some(()).ok_or("it is not")
        })
        .await;
        self.kill9();
    }

    fn spawn(&mut self) {
        // Left behind by a kill, it would pass for the new process's.
        let _ = std::fs::remove_file(self.data.join("connect.json"));
        let mut command = self.command();
        command.env("FEDSX_LOG", "info");
        self.process.spawn(command);
    }

    /// The command that starts it: `fedsx all` with the node's flags.
    pub fn command(&self) -> Command {
        let mut command = clean(binary());
        command
            .args(["all", "--origin", self.domain.origin().as_str()])
            .args(["--bundle", self.bundle, "--data"])
            .arg(&self.data)
            .args(&self.flags)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Kills the process as a power cut would: SIGKILL, nothing flushed.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Ends the process in good order and starts it again on the same folder and port.
    pub async fn restart(&mut self) {
        let status = self.terminate().await;
        assert!(status.success(), "{} ended with {status}", self.domain.origin());
        self.start().await;
    }

    /// The port that it listens on for its peers.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The folder of its state.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// GETs a path of the internal HTTP listener: `/readyz`, `/metrics`.
    pub async fn admin(&self, path: &str) -> crate::Answer {
        crate::get(&format!("{}{path}", self.connection().admin)).await
    }
}

impl Node {
    /// GETs a path of the internal listener of the services, with the operator's token or another: `/views/followers`.
    pub async fn internal(&self, path: &str, token: Option<&str>) -> crate::Answer {
        let token = token.map_or_else(|| self.token(), str::to_owned);
        crate::ask(&self.internal_url(path), Some(&token), None).await
    }

    /// A URL of the internal listener of the services.
    pub fn internal_url(&self, path: &str) -> String {
        format!("{}{path}", self.connection().grpc)
    }

    /// The operator's token.
    pub fn token(&self) -> String {
        self.connection().token
    }

    fn connection(&self) -> Connection {
        connection(&self.data).unwrap_or_else(|problem| panic!("{problem}"))
    }
}

impl Deref for Node {
    type Target = Domain;

    fn deref(&self) -> &Domain {
        &self.domain
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("fedsx-e2e-")
        .tempdir()
        .expect("a folder")
}
