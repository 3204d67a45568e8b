//! One reading for two: what one reader has read is handed to a second one in the same process.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::mpsc;

use super::Batch;

/// Batches that the second may be behind; what there is no room for, it has to read itself.
const BEHIND: usize = 16;

/// Larger batches are not kept for the second, which has to read them itself: what strangers may put here is bounded. Bytes.
const LARGE: usize = 256 << 10;

/// The first reader's end.
#[derive(Debug)]
pub(crate) struct Relay {
    batches: mpsc::Sender<Batch>,
    missed: Arc<AtomicU64>,
}

/// The second one's.
#[derive(Debug)]
pub(crate) struct Relayed {
    batches: mpsc::Receiver<Batch>,
    missed: Arc<AtomicU64>,
}

pub(crate) fn relay() -> (Relay, Relayed) {
    let (sender, receiver) = mpsc::channel(BEHIND);
    let missed = Arc::new(AtomicU64::new(0));
    let relay = Relay {
        batches: sender,
        missed: missed.clone(),
    };
    let relayed = Relayed {
        batches: receiver,
        missed,
    };
    (relay, relayed)
}

impl Relay {
    /// Hands a batch on, if there is room. Of a large one, only its end.
    pub(crate) fn pass(&self, batch: &Batch) {
        let passed = if batch.size > LARGE {
            batch.end()
        } else {
            batch.clone()
        };
        if self.batches.try_send(passed).is_err() {
            self.missed.fetch_max(batch.last, Ordering::SeqCst);
        }
    }
}

impl Relayed {
    /// What the first has read next; nothing ever again once it has ended. Dropped before it answers, it loses nothing.
    pub(crate) async fn next(&mut self) -> Batch {
        match self.batches.recv().await {
            Some(batch) => batch,
            None => std::future::pending().await,
        }
    }

    /// Whether more than this was read that will not come here: there was no room.
    pub(crate) fn has_missed(&self, done: u64) -> bool {
        self.batches.is_empty() && self.missed.load(Ordering::SeqCst) > done
    }
}
