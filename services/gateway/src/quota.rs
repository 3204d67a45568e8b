//! How many bytes are stored for origins that nobody here follows.
//!
//! One count for each origin in the log's kv (space `peer-bytes`), which all gateways of the domain share: a gateway takes
//! a grant from it by compare-and-set, a 1024th of the quota at a time or what one activity needs, and counts that off in
//! memory. So the quota is never exceeded, however many gateways there are, and an append under it asks for nothing. What a
//! gateway has been granted and does not need it gives back when the origin is silent, and when it stops; what one that was
//! killed held stays counted.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::KvChange;
use fedsx_runtime::code::{Code, Refusal};
use moka::future::Cache;

use crate::log::Log;

#[cfg(test)]
mod tests;

const SPACE: &str = "peer-bytes";
/// Origins whose grants are held in memory.
const MAX_ORIGINS: u64 = 10_000;
/// A grant is a quota's so many-th part.
const GRANTS: u64 = 1024;
/// An origin that has been silent for so long needs no grant.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// How often a grant is asked for where other gateways ask at the same time.
const ATTEMPTS: usize = 8;

/// The quotas that a gateway draws from.
#[derive(Debug)]
pub(crate) struct StrangerQuota {
    limit: u64,
    accounts: Cache<Origin, Arc<Account>>,
    /// Grants of origins that were silent.
    unneeded: Unneeded,
}

type Unneeded = Arc<Mutex<Vec<(Origin, u64)>>>;

/// What a gateway holds of an origin's quota.
#[derive(Debug, Default)]
struct Account {
    /// Bytes of the grants that no activity has taken.
    left: AtomicU64,
    /// One grant is asked for at a time.
    asking: tokio::sync::Mutex<()>,
}

/// Why a shared count may not have changed.
#[derive(Debug)]
enum Failure {
    /// It has not.
    Unchanged(Refusal),
    /// It may have: the answer was lost.
    Unknown(Refusal),
}

/// Bytes taken from a quota. They stay taken, unless they are given back where it is known that they were not stored.
#[derive(Debug)]
#[must_use]
pub(crate) struct Reservation {
    account: Arc<Account>,
    bytes: u64,
}

impl StrangerQuota {
    pub(crate) fn new(limit: u64) -> Self {
        let unneeded = Unneeded::default();
        let collected = unneeded.clone();
        let accounts = Cache::builder()
            .max_capacity(MAX_ORIGINS)
            .time_to_idle(IDLE)
            .eviction_listener(move |origin: Arc<Origin>, account: Arc<Account>, _| {
                let bytes = account.left.swap(0, Ordering::Relaxed);
                if bytes > 0 {
                    lock(&collected).push((Origin::clone(&origin), bytes));
                }
            })
            .build();
        Self {
            limit,
            accounts,
            unneeded,
        }
    }

    /// Takes bytes from an origin's quota. To be waited for to its end: a grant that nobody waits for is lost.
    ///
    /// # Errors
    /// [`Code::QuotaExceeded`], and the log's where it is away.
    pub(crate) async fn reserve(
        &self,
        log: &Log,
        origin: &Origin,
        bytes: u64,
    ) -> Result<Reservation, Refusal> {
        let account = self
            .accounts
            .get_with_by_ref(origin, async { Arc::default() })
            .await;
        if !account.take(bytes) {
            let _turn = account.asking.lock().await;
            if !account.take(bytes) {
                self.ask(log, origin, &account, bytes).await?;
            }
        }
        Ok(Reservation { account, bytes })
    }

    /// Asks for a grant and takes bytes from it at once.
    async fn ask(&self, log: &Log, origin: &Origin, account: &Account, bytes: u64) -> Result<(), Refusal> {
        let held = account.left.swap(0, Ordering::Relaxed);
        let missing = bytes.saturating_sub(held);
        let granted = self
            .change(log, origin, |used| {
                let free = self.limit.saturating_sub(used);
                let grant = missing.max(self.limit / GRANTS).min(free);
                (grant >= missing).then_some(used.saturating_add(grant))
            })
            .await;
        // Whatever became of it, what is held stays held.
        let left = match &granted {
            Ok(Some((before, after))) => held + (after - before) - bytes,
            Ok(None) | Err(_) => held,
        };
        account.left.fetch_add(left, Ordering::Relaxed);
        granted
            .map_err(Failure::into_refusal)?
            .map(drop)
            .ok_or_else(|| exceeded(origin, self.limit))
    }

    /// Changes the shared count; the count before and after, or none where `next` wants no change.
    async fn change(
        &self,
        log: &Log,
        origin: &Origin,
        next: impl Fn(u64) -> Option<u64>,
    ) -> Result<Option<(u64, u64)>, Failure> {
        for _ in 0..ATTEMPTS {
            let stored = log.kv(SPACE, origin.as_str()).await.map_err(Failure::Unchanged)?;
            let before = stored.as_ref().map_or(0, |item| parse(&item.value));
            let Some(after) = next(before) else {
                return Ok(None);
            };
            let change = KvChange {
                space: SPACE.to_owned(),
                key: origin.to_string(),
                value: Some(Bytes::from(after.to_string())),
                expected_version: Some(stored.map_or(0, |item| item.version)),
            };
            if log.change_kv(change).await.map_err(Failure::Unknown)? {
                return Ok(Some((before, after)));
            }
        }
        let detail = "the origin's quota is asked for by many at once";
        Err(Failure::Unchanged(Refusal::new(Code::Unavailable, detail)))
    }

    /// Gives back what origins that have fallen silent were granted. What may have been given back already stays counted:
    /// twice would be more than the quota.
    pub(crate) async fn give_back_idle(&self, log: &Log) {
        self.accounts.run_pending_tasks().await;
        let unneeded = std::mem::take(&mut *lock(&self.unneeded));
        for (origin, bytes) in unneeded {
            let less = |used: u64| Some(used.saturating_sub(bytes));
            match self.change(log, &origin, less).await {
                Ok(_) => {}
                Err(Failure::Unchanged(refusal)) => {
                    tracing::debug!(%origin, bytes, error = %refusal, "a grant could not be given back");
                    lock(&self.unneeded).push((origin, bytes));
                }
                Err(Failure::Unknown(refusal)) => {
                    tracing::debug!(%origin, bytes, error = %refusal, "a grant may not have been given back");
                }
            }
        }
    }

    /// Gives back everything that is left.
    pub(crate) async fn give_back_all(&self, log: &Log) {
        self.accounts.invalidate_all();
        self.give_back_idle(log).await;
    }
}

impl Account {
    fn take(&self, bytes: u64) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .is_ok()
    }
}

impl Reservation {
    /// The bytes were not stored.
    pub(crate) fn give_back(self) {
        self.account.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Failure {
    fn into_refusal(self) -> Refusal {
        let (Self::Unchanged(refusal) | Self::Unknown(refusal)) = self;
        refusal
    }
}

fn lock(unneeded: &Unneeded) -> std::sync::MutexGuard<'_, Vec<(Origin, u64)>> {
    unneeded.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A count that cannot be read starts anew: the next grant writes it.
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
