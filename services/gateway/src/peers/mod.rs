//! Peers' actors: who they are, where they take deliveries, and with which keys they sign.
//!
//! An actor is looked for in memory, then in the log's kv, then at its own id with a guarded GET; one lookup an actor
//! runs at a time, whoever waits for it. What failed is remembered apart and briefly, so that it neither hides good
//! documents nor lets a stranger make us ask a victim again and again.

mod cache;
mod record;
mod resolve;

use std::{sync::Arc, time::Duration};

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::KvChange;
use fedsx_runtime::{
    clock::Clock,
    code::{Code, Refusal},
    fetch::Fetcher,
};
use jiff::{SignedDuration, Timestamp};
use prometheus::IntCounterVec;
use tokio::sync::Semaphore;

use cache::{Cache, Failure};
pub(crate) use record::PeerActor;
use resolve::Unresolved;

use crate::{limit::Limiter, log::Log, problem::Problem, settings::Rate};

/// An actor's document is fetched again at most so often, whatever makes us doubt it.
const REFETCH: SignedDuration = SignedDuration::from_mins(1);
/// A document older than this is fetched again before it is used; where that fails, it still serves.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// How long an actor that does not exist, or is none, is not asked for again.
const GONE_FOR: SignedDuration = SignedDuration::from_secs(30);
/// How long an actor that could not be fetched is not asked for again.
const AWAY_FOR: SignedDuration = SignedDuration::from_secs(5);
/// Fetches under way at once.
const MAX_FETCHES: usize = 64;
/// How long a fetch waits for its turn.
const TURN: Duration = Duration::from_secs(3);

/// The peers' actors that this gateway knows.
#[derive(Debug)]
pub(crate) struct Peers {
    cache: Cache,
    log: Log,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    targets: Limiter<Origin>,
    turns: Semaphore,
    fetches: IntCounterVec,
}

impl Peers {
    pub(crate) fn new(
        log: Log,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
        fetch_rate: Option<Rate>,
        fetches: IntCounterVec,
    ) -> Self {
        Self {
            cache: Cache::default(),
            log,
            fetcher,
            clock,
            targets: Limiter::new(fetch_rate),
            turns: Semaphore::new(MAX_FETCHES),
            fetches,
        }
    }

    /// A peer's actor by its id.
    ///
    /// # Errors
    /// [`Code::UnknownKey`] where there is no such actor or its document is none, [`Code::FetchFailed`] where it could
    /// not be fetched just now, [`Code::Unavailable`] where the log is away.
    pub(crate) async fn actor(&self, id: &str) -> Result<Arc<PeerActor>, Problem> {
        let now = self.clock.now();
        if let Some(failure) = self.cache.failure(id, now).await {
            return Err(failure);
        }
        let known = self.cache.get_or_look_up(id, self.look_up(id)).await?;
        if older(&known, MAX_AGE, now) {
            Ok(self.refetch(&known).await.unwrap_or(known))
        } else {
            Ok(known)
        }
    }

    /// The actor as its origin shows it now, for a signature that does not fit what is known of it; none where that is
    /// not a minute old yet, or could not be fetched.
    pub(crate) async fn refetch(&self, known: &Arc<PeerActor>) -> Option<Arc<PeerActor>> {
        let now = self.clock.now();
        if !older(known, REFETCH, now) {
            return None;
        }
        let fresh = async {
            match self.fetch(&known.id).await {
                Ok(actor) => actor,
                // Remembered as asked for, so that the next doubt within a minute asks nobody.
                Err(_) => known.asked_at(now),
            }
        };
        let current = self
            .cache
            .replace_if(&known.id, fresh, |current| older(current, REFETCH, now))
            .await;
        (current.fetched_at > known.fetched_at).then_some(current)
    }

    /// What is to be written with the append of an activity of this actor, so that the next start knows it; none where
    /// it is stored already.
    pub(crate) fn unsaved(actor: &PeerActor) -> Option<KvChange> {
        record::unsaved(actor)
    }

    /// What is to be written with the append of an activity by which an actor told us that it changed.
    pub(crate) fn removal(id: &str) -> KvChange {
        record::removal(id)
    }

    /// Forgets an actor that has told us it changed, once that is appended.
    pub(crate) async fn forget(&self, id: &str) {
        self.cache.forget(id).await;
    }

    pub(crate) fn forget_recovered(&self) {
        self.targets.forget_recovered();
    }

    async fn look_up(&self, id: &str) -> Result<PeerActor, Failure> {
        let stored = self.log.kv(record::SPACE, id).await.map_err(Failure::passing)?;
        match stored.and_then(|stored| record::decode(id, &stored)) {
            Some(actor) => Ok(actor),
            None => {
                let fetched = self.fetch(id).await;
                if let Err(failure) = &fetched {
                    self.cache.remember(id, failure).await;
                }
                fetched
            }
        }
    }

    /// Fetches an actor's document, if its origin and we can bear one more fetch.
    async fn fetch(&self, id: &str) -> Result<PeerActor, Failure> {
        let now = self.clock.now();
        let fetched = self.try_fetch(id, now).await;
        let outcome = match &fetched {
            Ok(_) => "ok",
            Err(failure) => failure.problem.refusal.code.as_str(),
        };
        self.fetches.with_label_values(&[outcome]).inc();
        fetched
    }

    async fn try_fetch(&self, id: &str, now: Timestamp) -> Result<PeerActor, Failure> {
        let origin = Origin::of(id).map_err(|error| gone(error.to_string(), now))?;
        self.targets.check(&origin).map_err(|wait| {
            let detail = format!("{origin} is asked as often as is decent; its keys come later");
            Failure::passing(Problem::after(Refusal::new(Code::FetchFailed, detail), wait))
        })?;
        let turn = tokio::time::timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            let refusal = Refusal::new(Code::FetchFailed, "too many fetches are under way");
            return Err(Failure::passing(refusal));
        };
        resolve::fetch(&self.fetcher, &origin, id, now)
            .await
            .map_err(|unresolved| match unresolved {
                Unresolved::Gone(why) => gone(format!("{id}: {why}"), now),
                Unresolved::Away(why) => Failure::until(
                    Refusal::new(Code::FetchFailed, format!("{id} could not be fetched: {why}")),
                    later(now, AWAY_FOR),
                ),
            })
    }
}

fn older(actor: &PeerActor, age: SignedDuration, now: Timestamp) -> bool {
    now.duration_since(actor.asked_at) >= age
}

fn gone(why: String, now: Timestamp) -> Failure {
    Failure::until(Refusal::new(Code::UnknownKey, why), later(now, GONE_FOR))
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
