//! Announcements inside the process: what would be found by looking is told at once.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Who waits to be told. A missed call costs one tick.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    /// Something may have come due.
    pub(crate) sweep: Notify,
    /// A parked origin answered.
    pub(crate) fan_out: Notify,
    /// An origin began to catch up.
    pub(crate) catch_up: Notify,
    /// A probe may be due.
    pub(crate) parking: Notify,
    leading: AtomicBool,
}

impl Wake {
    /// Whether this process holds fan-out's lease. The others leave catch-up to it, to spare the log.
    pub(crate) fn leads(&self) -> bool {
        self.leading.load(Ordering::Relaxed)
    }

    pub(crate) fn lead(&self, leading: bool) {
        self.leading.store(leading, Ordering::Relaxed);
    }
}
