//! Finds a consumer that RabbitMQ has forgotten.
//!
//! Whoever consumed from a queue that was lost with its leader is not told when the queue is made anew: its channel stays
//! open, and nothing comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use lapin::Channel;
use tokio::time::{Instant, sleep, timeout};

use super::{link::Use, queue};

/// How often is looked.
const LOOK: Duration = Duration::from_secs(5);
/// How often in a row a consumer must have waited in vain.
const LOOKS: u32 = 2;
/// How long the broker may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// How far a consumer is.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How often messages were asked for, and how often some came.
    asked: AtomicU64,
    came: AtomicU64,
    asks: AtomicBool,
    held: AtomicUsize,
}

/// Somebody waits for messages.
#[derive(Debug)]
pub(super) struct Asking<'a>(&'a Pace);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    asked: u64,
    came: u64,
    asks: bool,
    held: usize,
}

impl Pace {
    pub(super) fn ask(&self) -> Asking<'_> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.asks.store(true, Ordering::Relaxed);
        Asking(self)
    }

    pub(super) fn gets(&self, held: usize) {
        self.came.fetch_add(1, Ordering::Relaxed);
        self.holds(held);
    }

    pub(super) fn holds(&self, held: usize) {
        self.held.store(held, Ordering::Relaxed);
    }

    fn mark(&self) -> Mark {
        Mark {
            asked: self.asked.load(Ordering::Relaxed),
            came: self.came.load(Ordering::Relaxed),
            asks: self.asks.load(Ordering::Relaxed),
            held: self.held.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asks.store(false, Ordering::Relaxed);
    }
}

impl Mark {
    /// Whether the consumer has asked for messages since then, could have held more, and got none.
    fn waited_since(self, before: Self, prefetch: usize) -> bool {
        let asked = self.asks || self.asked != before.asked;
        asked && self.came == before.came && self.held < prefetch
    }
}

/// Closes the channel of a consumer that waits while messages lie in the queue, so that it is told.
pub(super) async fn watch(used: Use, channel: Channel, pace: Arc<Pace>, prefetch: usize) {
    let (mut before, mut in_vain) = (pace.mark(), 0);
    while in_vain < LOOKS {
        sleep(LOOK).await;
        let now = pace.mark();
        let waited = now.waited_since(before, prefetch);
        before = now;
        in_vain = if waited && lies_there(&used).await {
            in_vain + 1
        } else {
            0
        };
    }
    tracing::warn!(
        queue = queue::NAME,
        "the broker has forgotten a consumer; it consumes anew"
    );
    let _ = timeout(ANSWER, channel.close(200, "OK".into())).await;
}

/// Whether messages wait, or the queue is gone, which a consumer would have been told.
async fn lies_there(used: &Use) -> bool {
    let depth = queue::depth(&used.session, Instant::now() + ANSWER).await;
    depth.map_or(true, |depth| depth > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_and_has_room_waits() {
        let pace = Pace::default();
        let start = pace.mark();
        assert!(!pace.mark().waited_since(start, 2), "it is busy");
        drop(pace.ask());
        assert!(pace.mark().waited_since(start, 2));
        let asking = pace.ask();
        let again = pace.mark();
        assert!(pace.mark().waited_since(again, 2), "it asks still");
        pace.gets(1);
        assert!(!pace.mark().waited_since(again, 2), "something came");
        let one = pace.mark();
        assert!(pace.mark().waited_since(one, 2));
        pace.holds(2);
        assert!(!pace.mark().waited_since(one, 2), "it has no room");
        drop(asking);
    }
}
