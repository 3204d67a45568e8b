//! A `fedsx` process that can be killed, ended, frozen and started again.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::eventually;

/// A little more than the process gives its services to end.
const STOP: Duration = Duration::from_secs(20);
/// How much of its log a process shows when its test fails. Bytes.
const TAIL: usize = 12 << 10;

/// A process that runs, or can; its log is kept over restarts.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A process that does not run yet. Its output will be appended to `log`.
    pub(crate) fn new(name: String, log: PathBuf) -> Self {
        Self {
            name,
            log,
            child: None,
        }
    }

    pub(crate) fn spawn(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn();
        let program = command.get_program().display();
        self.child = Some(child.unwrap_or_else(|error| panic!("{program} does not start: {error}")));
    }

    pub(crate) fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Panics where the process has ended by itself.
    pub(crate) fn assert_runs(&mut self) {
        let ended = self
            .child
            .as_mut()
            .and_then(|child| child.try_wait().expect("a child process"));
        assert!(ended.is_none(), "{} ended by itself: {ended:?}", self.name);
    }

    /// Kills the process as a power cut would: SIGKILL, nothing flushed.
    pub(crate) fn kill9(&mut self) {
        let mut child = self.child.take().expect("a running process");
        child.kill().expect("SIGKILL");
        child.wait().expect("the end of the process");
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.end(STOP).await
    }

    /// Waits until the process has ended.
    pub(crate) async fn end(&mut self, within: Duration) -> ExitStatus {
        let child = self.child.as_mut().expect("a running process");
        let status = eventually(&format!("{} ends", self.name), within, async || {
            child.try_wait().expect("a child process").ok_or("it still runs")
        })
        .await;
        self.child = None;
        status
    }

    /// Sends the process a signal: `STOP`, `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("a running process");
        let told = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", signal])
            .arg(child.id().to_string())
            .status();
        assert!(told.expect("a shell").success(), "SIG{signal}");
    }
}

impl Drop for Process {
    /// Ends the process. A test whose process panicked somewhere has failed, whatever it saw.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let log = std::fs::read(&self.log).unwrap_or_default();
        let panicked = String::from_utf8_lossy(&log).contains("panicked at");
        if panicked || std::thread::panicking() {
            let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(TAIL)..]);
            eprintln!("--- the log of {} ends:\n{tail}---", self.name);
        }
        assert!(!panicked || std::thread::panicking(), "{} panicked", self.name);
    }
}
