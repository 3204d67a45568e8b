//! The reaction's place in the log, under a lease.

use crate::{
    shard::lease::Lease,
    store::{Advance, Result, Store},
};

/// Entries that may be read again after a crash, since nothing was said about them.
const LAZY: u64 = 10_000;

#[derive(Debug)]
pub(super) struct Cursor {
    /// As it is stored.
    lease: Lease,
    /// Everything up to here has been reacted to; what is stored may stand before it.
    pub(super) done: u64,
    /// The log's head when the lease was taken: views that are not so far know less of what was answered than the log.
    pub(super) floor: u64,
}

impl Cursor {
    pub(super) fn new(lease: Lease, floor: u64) -> Self {
        Self {
            done: lease.position,
            lease,
            floor,
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.lease.epoch
    }

    /// The lease, at where the reaction is.
    pub(super) fn stands(&self) -> Lease {
        Lease {
            position: self.done,
            ..self.lease.clone()
        }
    }

    /// Whether it should be written although nothing was said: it is far ahead, or what it stood still for is past.
    pub(super) fn is_due(&self) -> bool {
        self.lease.halted.is_some() || self.done - self.lease.position >= LAZY
    }

    /// Writes where everything is done, or why it stands still. False: the lease is lost.
    pub(super) async fn write(&mut self, store: &dyn Store, halted: Option<String>) -> Result<bool> {
        let lease = &mut self.lease;
        // Without a step, only a new reason is worth writing; with one, whatever it stood still for is past.
        if self.done == lease.position && (halted.is_none() || halted == lease.halted) {
            return Ok(true);
        }
        let advance = Advance {
            shard: lease.shard.clone(),
            epoch: lease.epoch,
            from: lease.position,
            position: self.done,
            count: lease.count,
            digest: lease.digest,
            halted,
            changes: Vec::new(),
        };
        let lost = store.commit(std::slice::from_ref(&advance)).await?;
        lease.position = advance.position;
        lease.halted = advance.halted;
        Ok(lost.is_empty())
    }
}
