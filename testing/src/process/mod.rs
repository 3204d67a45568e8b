//! A server's process: started, signalled with all that it has started, and never left behind.

mod guard;
mod tree;

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use guard::Guard;

/// How much of its log a server that does not start shows. Bytes.
const TAIL: usize = 4 << 10;
/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// A process that leads a group of its own, so that the terminal's Ctrl-C is not for it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    // Kills the group where we end without having done so.
    _guard: Guard,
}

impl Process {
    /// Starts a command. Its output is appended to `log`; where we are killed, it is killed too and `folder` removed.
    pub(crate) fn spawn(mut command: Command, log: PathBuf, folder: &Path) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log file"))
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        let guard = Guard::of(child.id(), folder);
        Self {
            child,
            log,
            _guard: guard,
        }
    }

    /// Polls until the server answers; panics with the end of its log where it ends first, or takes longer.
    pub(crate) async fn ready<E: std::fmt::Display>(
        &mut self,
        name: &str,
        within: Duration,
        mut look: impl AsyncFnMut() -> Result<(), E>,
    ) {
        let end = Instant::now() + within;
        while let Err(lacking) = look().await {
            if let Some(status) = self.ended() {
                panic!("{name} ended with {status}; its log ends:\n{}", self.tail());
            }
            assert!(
                Instant::now() < end,
                "{name} is not ready after {within:?}: {lacking}; its log ends:\n{}",
                self.tail()
            );
            sleep(EVERY).await;
        }
    }

    /// Sends a signal, `TERM`, to the process alone.
    pub(crate) fn signal(&self, signal: &str) {
        tree::signal(signal, &[self.child.id().to_string()]);
    }

    /// Stops (SIGSTOP) the process and all that it has started.
    pub(crate) fn freeze(&self) {
        tree::freeze(self.child.id());
    }

    /// Lets all of it go on (SIGCONT).
    pub(crate) fn thaw(&self) {
        tree::thaw(self.child.id());
    }

    /// Waits until the process has ended by itself.
    pub(crate) async fn end(mut self, name: &str, within: Duration) -> ExitStatus {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                Instant::now() < end,
                "{name} still runs after {within:?}; its log ends:\n{}",
                self.tail()
            );
            sleep(EVERY).await;
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child process")
    }

    fn tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(TAIL)..]).into_owned()
    }
}

impl Drop for Process {
    /// Kills (SIGKILL) the process and all that it has started, and waits until they are gone.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            tree::kill(self.child.id());
        }
        let _ = self.child.wait();
    }
}
