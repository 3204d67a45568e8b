//! Soft, then hard: services watch one token, then another, and are waited for until a deadline.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A process has left this long after it was told to end.
pub const PROMISE: Duration = Duration::from_secs(15);
/// The end of the promise is kept for the runtime's own end and the process's.
const LAST: Duration = Duration::from_secs(1);
/// Before that, what is left of telemetry is exported.
const EXPORT: Duration = Duration::from_secs(1);
/// Before that, who was still waiting for others when it got hard puts things in order.
const HARD: Duration = Duration::from_secs(2);

/// The soft time that these leave is longer than an exchange with a peer takes, which is so never cut off.
const _: () = assert!(
    PROMISE.as_secs() - LAST.as_secs() - EXPORT.as_secs() - HARD.as_secs() > crate::fetch::TIMEOUT.as_secs()
);

/// By when a process has to have left. Every stage of its end is measured from this one moment, so that no two of them
/// add up to more.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// Of a process that is told to end now.
    #[must_use]
    pub fn promised() -> Self {
        Self(Instant::now() + PROMISE)
    }

    /// What is left for the export of telemetry.
    pub(crate) fn export(self) -> Duration {
        (self.0 - LAST).saturating_duration_since(Instant::now())
    }

    /// What is left for anything.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// The tasks of a process and the wish that they end. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Ends when shutdown is wanted: what is under way may end by itself.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Ends when nobody may be waited for any longer, two seconds before the deadline: give up what is under way as a crash
    /// would, and hand back what is held.
    #[must_use]
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
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
        self.soft.cancel();
    }

    /// Ends the tasks of a process that has to have left by the deadline. False where some were still running when the
    /// rest had to begin.
    pub async fn leave(&self, by: Deadline) -> bool {
        self.end(by.0 - LAST - EXPORT).await
    }

    /// As [`Shutdown::leave`], of tasks alone: nothing comes after them.
    pub async fn finish(&self, within: Duration) -> bool {
        self.end(Instant::now() + within).await
    }

    async fn end(&self, by: Instant) -> bool {
        self.begin();
        self.tasks.close();
        if timeout_at(by - HARD, self.tasks.wait()).await.is_ok() {
            return true;
        }
        self.hard.cancel();
        timeout_at(by, self.tasks.wait()).await.is_ok()
    }
}

/// Resolves at the first SIGINT or SIGTERM, to when the process has to have left.
///
/// # Errors
/// Where the handlers cannot be installed.
pub async fn signal() -> std::io::Result<Deadline> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    Ok(Deadline::promised())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_still_waits_for_others_is_told_again_before_the_deadline() {
        let shutdown = Shutdown::default();
        let (soft, hard) = (shutdown.token(), shutdown.hard());
        let waiting = shutdown.spawn(async move {
            soft.cancelled().await;
            hard.run_until_cancelled(std::future::pending::<()>()).await
        });
        let no_soft_time = Deadline(Instant::now() + HARD + EXPORT + LAST);
        assert!(shutdown.leave(no_soft_time).await);
        assert_eq!(waiting.await.unwrap(), None);
    }

    #[tokio::test]
    async fn who_does_not_end_is_cut_off_before_the_deadline() {
        let shutdown = Shutdown::default();
        shutdown.spawn(std::future::pending::<()>());
        let deadline = Deadline(Instant::now() + EXPORT + LAST);
        assert!(!shutdown.leave(deadline).await);
        assert!(deadline.export() <= EXPORT && deadline.left() <= EXPORT + LAST);
    }

    #[tokio::test]
    async fn who_ends_by_itself_is_not_waited_for() {
        let shutdown = Shutdown::default();
        let stop = shutdown.token();
        shutdown.spawn(async move { stop.cancelled().await });
        assert!(shutdown.leave(Deadline::promised()).await);
        assert!(!shutdown.hard().is_cancelled());
    }
}
