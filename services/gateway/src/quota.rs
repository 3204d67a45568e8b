//! How many bytes are stored for origins that nobody here follows.
//!
//! The count is exact within one gateway's life and kept in the log's kv (space `peer-bytes`), written with each
//! append in its own transaction. Several gateways write the same key without asking each other, so that the stored
//! count may fall behind by what they accepted at the same time: a quota guards the disk, it is no ledger.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::KvChange;
use fedsx_runtime::code::{Code, Refusal};
use moka::future::Cache;

use crate::log::Log;

const SPACE: &str = "peer-bytes";
/// Origins whose count is held in memory.
const MAX_ORIGINS: u64 = 10_000;

/// The counts of a gateway.
#[derive(Debug)]
pub(crate) struct StrangerQuota {
    limit: u64,
    used: Cache<Origin, Arc<AtomicU64>>,
}

/// Bytes taken from a quota; given back when dropped, unless they were stored.
#[derive(Debug)]
pub(crate) struct Reservation {
    used: Arc<AtomicU64>,
    bytes: u64,
    /// What is to be written with the append.
    pub(crate) change: KvChange,
}

impl StrangerQuota {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: Cache::new(MAX_ORIGINS),
        }
    }

    /// Takes bytes from an origin's quota.
    ///
    /// # Errors
    /// [`Code::QuotaExceeded`], and the log's where it is away.
    pub(crate) async fn reserve(
        &self,
        log: &Log,
        origin: &Origin,
        bytes: u64,
    ) -> Result<Reservation, Refusal> {
        let load = async {
            let stored = log.kv(SPACE, origin.as_str()).await?;
            Ok::<_, Refusal>(Arc::new(AtomicU64::new(stored.as_deref().map_or(0, parse))))
        };
        let used = self
            .used
            .try_get_with_by_ref(origin, load)
            .await
            .map_err(|refusal| (*refusal).clone())?;
        let before = used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.limit)
            })
            .map_err(|_| exceeded(origin, self.limit))?;
        let change = KvChange {
            space: SPACE.to_owned(),
            key: origin.to_string(),
            value: Some(Bytes::from(before.saturating_add(bytes).to_string())),
            expected_version: None,
        };
        Ok(Reservation { used, bytes, change })
    }
}

impl Reservation {
    /// The bytes are stored: they stay taken.
    pub(crate) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A count that cannot be read starts anew: the next append writes it.
fn parse(stored: &[u8]) -> u64 {
    std::str::from_utf8(stored)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn exceeded(origin: &Origin, limit: u64) -> Refusal {
    let detail =
        format!("nobody here follows {origin}, and its {limit} bytes for unasked activities are used up");
    Refusal::new(Code::QuotaExceeded, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_count_is_decimal_text() {
        assert_eq!(parse(b"1024"), 1024);
        assert_eq!(parse(b"x"), 0);
    }

    #[test]
    fn what_was_not_stored_is_given_back() {
        let used = Arc::new(AtomicU64::new(15));
        let reservation = |bytes| Reservation {
            used: used.clone(),
            bytes,
            change: KvChange::default(),
        };
        drop(reservation(10));
        assert_eq!(used.load(Ordering::Relaxed), 5);
        reservation(5).keep();
        assert_eq!(used.load(Ordering::Relaxed), 5);
    }
}
