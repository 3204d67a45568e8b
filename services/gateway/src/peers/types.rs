//! Peers' types, fetched from the origin of who names them.
//!
//! Bytes that do not hash to the CID are dropped, so that nobody can have a wrong type kept. What failed is remembered by
//! the origin that was asked: one that does not show a type hides it from no other that does.

use std::time::Duration;

use bytes::Bytes;
use fedsx_kernel::{
    cid::Cid,
    definition::{MAX_RECORD, TYPE_DOC},
    origin::Origin,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    fetch::FetchError,
};
use jiff::Timestamp;
use moka::future::Cache as Memory;
use prometheus::IntCounterVec;

use super::{
    AWAY_FOR, GONE_FOR, Peers, TOO_MANY, busy,
    cache::{Failure, Failures},
    later,
};
use crate::{limit::Client, problem::Problem};

/// So long whoever wants a type that was fetched a moment ago is content with that.
const JUST_FETCHED: Duration = Duration::from_secs(1);
/// Types fetched a moment ago, or being fetched.
const MAX_FETCHED: u64 = 10_000;

/// What is under way, and what failed, by the types' URLs.
#[derive(Debug)]
pub(super) struct Types {
    fetched: Memory<String, ()>,
    failures: Failures,
    fetches: IntCounterVec,
}

/// Why a type was not fetched.
#[derive(Debug)]
enum Unfetched {
    /// The origin does not have it, or shows something else: asking again soon changes nothing.
    Gone(&'static str, String),
    /// Not just now.
    Away(String),
    /// For a reason that is not the origin's.
    Ours(Failure),
}

impl Types {
    pub(super) fn new(fetches: IntCounterVec) -> Self {
        Self {
            fetched: Memory::builder()
                .max_capacity(MAX_FETCHED)
                .time_to_live(JUST_FETCHED)
                .build(),
            failures: Failures::default(),
            fetches,
        }
    }
}

impl Peers {
    /// Fetches a type from an origin, and has the log keep it; one such fetch runs at a time, whoever waits for it.
    ///
    /// # Errors
    /// [`Code::TypeUnknown`] where the origin does not have it or shows something else, [`Code::FetchFailed`] where it
    /// could not be fetched just now, [`Code::RateLimited`] where the client asks for too much of the origin,
    /// [`Code::Unavailable`] where the log is away.
    pub(crate) async fn fetch_type(&self, cid: &Cid, origin: &Origin, client: Client) -> Result<(), Problem> {
        let url = origin.type_record(cid);
        self.type_has_failed(&url).await?;
        let Some(_turn) = self.turns.look_up(client).await else {
            return Err(busy(TOO_MANY));
        };
        // Perhaps meanwhile, and then it is neither fetched nor counted.
        self.type_has_failed(&url).await?;
        if self.types.fetched.contains_key(&url) {
            return Ok(());
        }
        self.count(&url, client)?;
        let fetch = self.fetch_and_keep(&url, cid, origin);
        let fetched = self.types.fetched.try_get_with_by_ref(&url, fetch).await;
        fetched.map_err(|failure| failure.problem.clone())
    }

    async fn type_has_failed(&self, url: &str) -> Result<(), Problem> {
        match self.types.failures.get(url, self.clock.now()).await {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    async fn fetch_and_keep(&self, url: &str, cid: &Cid, origin: &Origin) -> Result<(), Failure> {
        let fetched = self.try_fetch_type(url, cid, origin).await;
        let outcome = match &fetched {
            Ok(()) => "ok",
            Err(Unfetched::Gone(outcome, _)) => outcome,
            Err(Unfetched::Away(_)) => Code::FetchFailed.as_str(),
            Err(Unfetched::Ours(failure)) => failure.problem.refusal.code.as_str(),
        };
        self.types.fetches.with_label_values(&[outcome]).inc();
        let unfetched = match fetched {
            Ok(()) => return Ok(()),
            Err(unfetched) => unfetched,
        };
        let failure = unfetched.failure(url, self.clock.now());
        self.types.failures.remember(url, &failure).await;
        Err(failure)
    }

    async fn try_fetch_type(&self, url: &str, cid: &Cid, origin: &Origin) -> Result<(), Unfetched> {
        let body = {
            let _turn = self.turn(origin).await.map_err(Unfetched::Ours)?;
            let fetched = self.fetcher.get_within(url, TYPE_DOC, MAX_RECORD).await;
            fetched.map_err(unfetched)?.body
        };
        self.keep_type(cid, body, origin).await
    }

    async fn keep_type(&self, cid: &Cid, body: Bytes, origin: &Origin) -> Result<(), Unfetched> {
        let shown = Cid::of_canonical(&body);
        if shown != *cid {
            return Err(Unfetched::Gone(
                "wrong_bytes",
                format!("it shows the bytes of {shown}"),
            ));
        }
        self.log
            .keep_type(body, origin)
            .await
            .map_err(|refusal| match refusal.code {
                Code::SchemaRefused => Unfetched::Gone("unsound", refusal.detail),
                _ => Unfetched::Ours(Failure::passing(refusal)),
            })
    }
}

impl Unfetched {
    fn failure(self, url: &str, now: Timestamp) -> Failure {
        match self {
            Self::Gone(_, why) => Failure::until(
                Refusal::new(Code::TypeUnknown, format!("{url}: {why}")),
                later(now, GONE_FOR),
            ),
            Self::Away(why) => Failure::until(
                Refusal::new(Code::FetchFailed, format!("{url} could not be fetched: {why}")),
                later(now, AWAY_FOR),
            ),
            Self::Ours(failure) => failure,
        }
    }
}

fn unfetched(error: FetchError) -> Unfetched {
    let why = error.to_string();
    match error {
        FetchError::Status(404 | 410) => Unfetched::Gone("not_found", why),
        FetchError::TooLarge(_) => Unfetched::Gone("too_large", why),
        FetchError::Forbidden(_) | FetchError::Redirects => Unfetched::Gone("forbidden", why),
        FetchError::Status(_) | FetchError::Unreachable(_) => Unfetched::Away(why),
    }
}
