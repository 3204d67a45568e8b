//! Peers' actors: who they are, where they take deliveries, and with which keys they sign.
//!
//! An actor is looked for in memory, then in the log's kv, then at its own id with a guarded GET; one lookup an actor
//! runs at a time, whoever waits for it. What failed is remembered apart and briefly, so that it neither hides good
//! documents nor lets a stranger make us ask a victim again and again. Of how often an origin is asked, one client causes a
//! small part, and is refused before it joins a lookup that others wait for.
//!
//! Types that peers name are fetched by the same rules ([`types`]), and kept by the log.
//!
//! Several gateways share the records in kv. What one of them has in memory it believes for [`BELIEVED`] and then asks kv
//! whether it still has that version, and at once where a signature does not fit: an actor that changed or went away by
//! telling one gateway has changed for all. How often an origin is asked, and what failed, each gateway counts for itself.

mod actor;
mod cache;
mod record;
mod resolve;
mod turns;
mod types;

use std::{net::IpAddr, sync::Arc};

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::KvChange;
use fedsx_runtime::{
    clock::Clock,
    code::{Code, Refusal},
    fetch::Fetcher,
};
use jiff::{SignedDuration, Timestamp};
use prometheus::IntCounterVec;

pub(crate) use actor::{PeerActor, PeerKey};
use cache::{Cache, Failure};
pub(crate) use record::Saving;
use resolve::Unresolved;
use turns::{Fetching, Turns};
use types::Types;

use crate::{
    limit::{Client, rate::Limiter},
    log::Log,
    measure::Measures,
    problem::Problem,
    settings::Rate,
};

/// What is in memory is believed for so long before kv is asked whether another gateway knows better.
const BELIEVED: SignedDuration = SignedDuration::from_secs(5);
/// An actor's document is fetched again at most so often, whatever makes us doubt it.
const REFETCH: SignedDuration = SignedDuration::from_mins(1);
/// A document older than this is fetched again before it is used; where that fails, it still serves.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// One client causes at most this part of the fetches that an origin may get: what is claimed before it is verified must
/// not keep us from the origin's genuine keys.
const PART_OF_ONE_CLIENT: u32 = 2;
/// How long an actor that does not exist, or is none, is not asked for again.
const GONE_FOR: SignedDuration = SignedDuration::from_secs(30);
/// How long an actor that could not be fetched is not asked for again.
const AWAY_FOR: SignedDuration = SignedDuration::from_secs(5);

const TOO_MANY: &str = "the client's address has too much looked up";

/// The peers' actors that this gateway knows.
#[derive(Debug)]
pub(crate) struct Peers {
    cache: Cache,
    log: Log,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    targets: Limiter<Origin>,
    /// What each client makes us ask of each origin.
    askers: Limiter<(IpAddr, Origin)>,
    turns: Turns,
    fetches: IntCounterVec,
    types: Types,
}

impl Peers {
    pub(crate) fn new(
        log: Log,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
        fetch_rate: Option<Rate>,
        measures: &Measures,
    ) -> Self {
        Self {
            cache: Cache::default(),
            log,
            fetcher,
            clock,
            targets: Limiter::new(fetch_rate),
            askers: Limiter::new(fetch_rate.map(|rate| rate.part(PART_OF_ONE_CLIENT))),
            turns: Turns::default(),
            fetches: measures.fetches.clone(),
            types: Types::new(measures.type_fetches.clone()),
        }
    }

    /// A peer's actor by its id, for a client that sent something of it.
    ///
    /// # Errors
    /// [`Code::UnknownKey`] where there is no such actor or its document is none, [`Code::FetchFailed`] where it could
    /// not be fetched just now, [`Code::RateLimited`] where the client asks for too many of its origin,
    /// [`Code::Unavailable`] where the log is away.
    pub(crate) async fn actor(&self, id: &str, client: Client) -> Result<Arc<PeerActor>, Problem> {
        let now = self.clock.now();
        let known = match self.cache.get(id).await {
            Some(known) if known.is_due(BELIEVED, now) && self.has_changed(&known).await? => {
                self.cache.forget(id).await;
                self.look_up(id, client).await?
            }
            Some(known) => known,
            None => self.look_up(id, client).await?,
        };
        if older(&known, MAX_AGE, now) {
            Ok(self.refetch(&known, client).await.ok().flatten().unwrap_or(known))
        } else {
            Ok(known)
        }
    }

    /// The actor as another gateway or its origin shows it now, for a signature that does not fit what is known of it;
    /// none where that is the same, or its origin was asked less than a minute ago.
    ///
    /// # Errors
    /// As of [`Peers::actor`], where the actor is known to have changed; [`Code::RateLimited`].
    pub(crate) async fn again(
        &self,
        known: &Arc<PeerActor>,
        client: Client,
    ) -> Result<Option<Arc<PeerActor>>, Problem> {
        if self.has_changed(known).await? {
            self.cache.forget(&known.id).await;
            return self.look_up(&known.id, client).await.map(Some);
        }
        self.refetch(known, client).await
    }

    /// What is to be written with the append of an activity of this actor, so that the next start and other gateways know
    /// it; none where it is stored already.
    pub(crate) fn unsaved(actor: &Arc<PeerActor>) -> Option<(Saving, KvChange)> {
        Saving::of(actor)
    }

    /// What is to be written with the append of an activity by which an actor told us that it changed.
    pub(crate) fn mark(&self, id: &str) -> KvChange {
        record::mark(id, self.clock.now())
    }

    /// Forgets an actor of which kv has something newer.
    pub(crate) async fn forget(&self, id: &str) {
        self.cache.forget(id).await;
    }

    pub(crate) fn forget_recovered(&self) {
        self.targets.forget_recovered();
        self.askers.forget_recovered();
    }

    /// Whether kv has another record than the one that this was read from.
    async fn has_changed(&self, known: &PeerActor) -> Result<bool, Refusal> {
        let stored = self.log.kv(record::SPACE, &known.id).await?;
        Ok(stored.map_or(0, |item| item.version) != known.version)
    }

    /// Looks an actor up that is not in memory.
    async fn look_up(&self, id: &str, client: Client) -> Result<Arc<PeerActor>, Problem> {
        self.has_failed(id).await?;
        let Some(_turn) = self.turns.look_up(client).await else {
            return Err(busy(TOO_MANY));
        };
        let stored = self.log.kv(record::SPACE, id).await?;
        // Perhaps meanwhile, and then it is neither fetched nor counted.
        self.has_failed(id).await?;
        if let Some(known) = self.cache.get(id).await {
            return Ok(known);
        }
        let known = stored
            .as_ref()
            .and_then(|item| record::decode(item, self.clock.now()));
        if known.is_none() {
            self.count(id, client)?;
        }
        let version = stored.map_or(0, |item| item.version);
        let look_up = async {
            match known {
                Some(actor) => Ok(actor),
                None => self.first_fetch(id, version).await,
            }
        };
        self.cache.get_or_look_up(id, look_up).await
    }

    /// Counts a fetch that a client causes.
    fn count(&self, id: &str, client: Client) -> Result<(), Problem> {
        let Ok(origin) = Origin::of(id) else {
            // It will not be fetched.
            return Ok(());
        };
        self.askers.check(&(client.0, origin)).map_err(|wait| {
            let detail = "the client's address makes us ask its peers for too much";
            Problem::after(Refusal::new(Code::RateLimited, detail), wait)
        })
    }

    async fn has_failed(&self, id: &str) -> Result<(), Problem> {
        match self.cache.failures.get(id, self.clock.now()).await {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Fetches an actor that is not known, and remembers where that fails.
    async fn first_fetch(&self, id: &str, version: u64) -> Result<PeerActor, Failure> {
        let fetched = self.fetch(id, version).await;
        if let Err(failure) = &fetched {
            self.cache.failures.remember(id, failure).await;
        }
        fetched
    }

    /// The actor as its origin shows it now; none where that is not a minute old yet, or could not be fetched.
    async fn refetch(
        &self,
        known: &Arc<PeerActor>,
        client: Client,
    ) -> Result<Option<Arc<PeerActor>>, Problem> {
        let now = self.clock.now();
        if !older(known, REFETCH, now) {
            return Ok(None);
        }
        let Some(_turn) = self.turns.look_up(client).await else {
            return Ok(None);
        };
        self.count(&known.id, client)?;
        let fresh = async {
            match self.fetch(&known.id, known.version).await {
                Ok(actor) => actor,
                // Remembered as asked for, so that the next doubt within a minute asks nobody.
                Err(_) => known.asked_at(now),
            }
        };
        let current = self
            .cache
            .replace_if(&known.id, fresh, |current| older(current, REFETCH, now))
            .await;
        Ok((current.fetched_at > known.fetched_at).then_some(current))
    }

    /// Fetches an actor's document, if its origin and we can bear one more fetch. `version`: of the record in kv.
    async fn fetch(&self, id: &str, version: u64) -> Result<PeerActor, Failure> {
        let now = self.clock.now();
        let fetched = self.try_fetch(id, now).await;
        let outcome = match &fetched {
            Ok(_) => "ok",
            Err(failure) => failure.problem.refusal.code.as_str(),
        };
        self.fetches.with_label_values(&[outcome]).inc();
        fetched.map(|actor| actor.over(version))
    }

    async fn try_fetch(&self, id: &str, now: Timestamp) -> Result<PeerActor, Failure> {
        let origin = Origin::of(id).map_err(|error| gone(error.to_string(), now))?;
        let _turn = self.turn(&origin).await?;
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

    /// A turn to ask an origin, if it and we can bear one more fetch.
    async fn turn(&self, origin: &Origin) -> Result<Fetching<'_>, Failure> {
        self.targets.check(origin).map_err(|wait| {
            let detail = format!("{origin} is asked as often as is decent, and again later");
            Failure::passing(Problem::after(Refusal::new(Code::FetchFailed, detail), wait))
        })?;
        let turn = self.turns.fetch(origin).await;
        turn.ok_or_else(|| Failure::passing(busy("too many fetches are under way")))
    }
}

fn busy(why: &str) -> Problem {
    Refusal::new(Code::FetchFailed, why).into()
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
