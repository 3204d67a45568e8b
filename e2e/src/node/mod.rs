//! A domain as a process of its own.

mod command;
mod state;

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use fedsx_kernel::origin::Origin;
use tempfile::TempDir;

pub use command::{Output, Published, fedsx};
pub use state::{Delivery, Entry, Publisher, settle};

use crate::{answer, answer::Answer, binary, eventually, port::Port};

/// A debug binary on a busy machine starts within this time, or not at all.
const START: Duration = Duration::from_secs(60);
/// A little more than the process gives its services to end.
const STOP: Duration = Duration::from_secs(20);
/// How much of its log a node shows when its test fails. Bytes.
const TAIL: usize = 12 << 10;

/// A domain that runs, or can, in a process of its own: `fedsx all` on a loopback port and a folder that it keeps over
/// restarts.
#[derive(Debug)]
pub struct Node {
    origin: Origin,
    bundle: &'static str,
    flags: Vec<String>,
    // Reserved for as long as the node may come back.
    port: Port,
    data: PathBuf,
    // Holds the process's log, and `data` where it is not another's.
    folder: TempDir,
    child: Option<Child>,
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
        let mut node = Self::on(bundle, Port::reserve(), PathBuf::new());
        node.data = node.folder.path().join("data");
        node
    }

    /// A domain with this port, on a folder that is there already or will be; it does not run yet.
    pub fn on(bundle: &'static str, port: Port, data: PathBuf) -> Self {
        let origin = port.origin().parse().expect("a loopback origin");
        let folder = tempfile::Builder::new()
            .prefix("fedsx-e2e-")
            .tempdir()
            .expect("a folder");
        Self {
            origin,
            bundle,
            flags: Vec::new(),
            port,
            data,
            folder,
            child: None,
        }
    }

    /// With more flags of `fedsx all`, from the next start on.
    #[must_use]
    pub fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
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
        let ready = self.url("/readyz");
        eventually(&format!("{} is ready", self.origin), START, async || {
            self.assert_runs();
            let answer = answer::send(answer::client().get(&ready))
                .await
                .map_err(|error| error.to_string())?;
            (answer.status.is_success() && self.connect_file().exists())
                .then_some(())
                .ok_or(answer.to_string())
        })
        .await;
    }

    /// Starts the process and kills it as soon as a file of its data folder is there.
    pub async fn start_and_kill_at(&mut self, file: &str) {
        self.spawn();
        let path = self.data().join(file);
        eventually(&format!("{} is there", path.display()), START, async || {
            self.assert_runs();
            path.exists().then_some(()).ok_or("it is not")
        })
        .await;
        self.kill9();
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.origin);
        // Left behind by a kill, it would pass for the new process's.
        let _ = std::fs::remove_file(self.connect_file());
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("a log file");
        let child = self
            .command()
            .env("FEDSX_LOG", "info")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn();
        self.child =
            Some(child.unwrap_or_else(|error| panic!("{} does not start: {error}", binary().display())));
    }

    fn assert_runs(&mut self) {
        let ended = self
            .child
            .as_mut()
            .and_then(|child| child.try_wait().expect("a child process"));
        assert!(ended.is_none(), "{} ended by itself: {ended:?}", self.origin);
    }

    /// The command that starts it: `fedsx all` with the node's flags.
    pub fn command(&self) -> Command {
        let mut command = command::clean(binary());
        command.args([
            "all",
            "--origin",
            self.origin.as_str(),
            "--bundle",
            self.bundle,
            "--data",
        ]);
        command
            .arg(self.data())
            .args(["--plain-peer", "http://127.0.0.1:*"])
            .args(&self.flags);
        command
    }

    /// Kills the process as a power cut would: SIGKILL, nothing flushed.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().expect("a running node");
        child.kill().expect("SIGKILL");
        child.wait().expect("the end of the process");
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running node");
        let told = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\""])
            .arg(child.id().to_string())
            .status();
        assert!(told.expect("a shell").success(), "SIGTERM");
        eventually(&format!("{} ends", self.origin), STOP, async || {
            child.try_wait().expect("a child process").ok_or("it still runs")
        })
        .await
    }

    /// Ends the process in good order and starts it again on the same folder and port.
    pub async fn restart(&mut self) {
        let status = self.terminate().await;
        assert!(status.success(), "{} ended with {status}", self.origin);
        self.start().await;
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The port of its origin.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The id of the domain's own actor.
    pub fn base(&self) -> String {
        self.origin.base()
    }

    /// The id of a local actor.
    pub fn actor(&self, name: &str) -> String {
        self.origin.actor(name)
    }

    /// A URL at the node: `/inbox`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// GETs a path as peers do.
    pub async fn get(&self, path: &str) -> Answer {
        crate::get(&self.url(path)).await
    }

    /// The folder of its state.
    pub fn data(&self) -> &Path {
        &self.data
    }

    fn connect_file(&self) -> PathBuf {
        self.data().join("connect.json")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("fedsx.log")
    }
}

impl Drop for Node {
    /// Ends the process. A test whose node panicked somewhere has failed, whatever it saw.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let log = std::fs::read(self.log_file()).unwrap_or_default();
        let panicked = String::from_utf8_lossy(&log).contains("panicked at");
        if panicked || std::thread::panicking() {
            let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(TAIL)..]);
            eprintln!(
                "--- the log of {} ({}) ends:\n{tail}---",
                self.origin, self.bundle
            );
        }
        assert!(!panicked || std::thread::panicking(), "{} panicked", self.origin);
    }
}
