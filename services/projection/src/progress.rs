//! Waiting until something has been folded.

use std::time::Duration;

use fedsx_runtime::code::{Code, Refusal};
use tokio::{sync::watch, time::Instant};

use crate::store::{Reach, Result};

/// How often a view is looked at whose shards another process holds.
const POLL: Duration = Duration::from_millis(100);

/// Wakes those who wait for views of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Progress(watch::Sender<()>);

impl Default for Progress {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Progress {
    /// Shards have moved.
    pub(crate) fn moved(&self) {
        self.0.send_replace(());
    }

    /// Reads until what was read is as far as `at_least`.
    ///
    /// # Errors
    /// [`Code::Unavailable`] where it does not get there in time, or stands still.
    pub(crate) async fn reach<T, F>(
        &self,
        at_least: u64,
        patience: Duration,
        mut read: impl FnMut() -> F,
    ) -> std::result::Result<T, Refusal>
    where
        F: Future<Output = Result<(T, Reach)>>,
    {
        let deadline = Instant::now() + patience;
        let mut moves = self.0.subscribe();
        loop {
            moves.mark_unchanged();
            let (value, reach) = read().await.map_err(|error| error.refuse())?;
            if reach.position >= at_least {
                return Ok(value);
            }
            let behind = |why: &str| {
                let detail = format!("the view is at {}, before {at_least}{why}", reach.position);
                Refusal::new(Code::Unavailable, detail)
            };
            if let Some(why) = &reach.halted {
                return Err(behind(&format!(", and stands still: {why}")));
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(behind(""));
            }
            let wait = POLL.min(deadline - now);
            let _ = tokio::time::timeout(wait, moves.changed()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    async fn reach(
        position: &AtomicU64,
        at_least: u64,
        patience: Duration,
    ) -> std::result::Result<u64, Refusal> {
        let read = || async {
            let position = position.load(Ordering::SeqCst);
            let halted = (position == 13).then(|| "poison".to_owned());
            Ok((position, Reach { position, halted }))
        };
        Progress::default().reach(at_least, patience, read).await
    }

    #[tokio::test]
    async fn waits_for_what_another_process_folds() {
        let position = AtomicU64::new(1);
        let (reached, ()) = tokio::join!(reach(&position, 2, PATIENCE), async {
            position.store(2, Ordering::SeqCst);
        });
        assert_eq!(reached, Ok(2));
    }

    #[tokio::test]
    async fn is_woken_by_what_this_process_folds() {
        let (progress, reads) = (Progress::default(), AtomicU64::new(0));
        let read = || async {
            let position = reads.fetch_add(1, Ordering::SeqCst);
            progress.moved();
            Ok((
                position,
                Reach {
                    position,
                    halted: None,
                },
            ))
        };
        // So many polls would take far longer than the test may.
        assert_eq!(progress.reach(5000, PATIENCE, read).await, Ok(5000));
    }

    #[tokio::test]
    async fn does_not_wait_for_ever_nor_for_what_stands_still() {
        let refusal = reach(&AtomicU64::new(1), 2, Duration::ZERO).await.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.detail.as_str()),
            (Code::Unavailable, "the view is at 1, before 2")
        );
        let refusal = reach(&AtomicU64::new(13), 14, PATIENCE).await.unwrap_err();
        assert!(refusal.detail.contains("poison"), "{refusal}");
    }
}
