//! Soft, then hard: services watch one token, and are waited for until a deadline.

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of a process and the wish that they end. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Ends when shutdown is wanted.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Starts a task that shutdown waits for. It must end by itself once the token is cancelled.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Asks every task to stop taking work.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Asks, then waits. False where tasks were still running at the deadline.
    pub async fn finish(&self, deadline: Duration) -> bool {
        self.begin();
        self.tasks.close();
        tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok()
    }
}

/// Resolves at the first SIGINT or SIGTERM.
///
/// # Errors
/// Where the handlers cannot be installed.
pub async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}
