//! Whether a server is well although a delivery failed: a GET of the addressee's actor, and where that fails too one of the
//! server's NodeInfo, one at a time for each origin.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fedsx_kernel::{
    delivery::outcome::{Answer, Outcome, classify},
    origin::Origin,
};
use fedsx_runtime::fetch::{FetchError, Fetcher, TIMEOUT};
use tokio::sync::Mutex as AsyncMutex;

use crate::{lane::Lane, ledger::Ledger, resolve::ACCEPT};

/// Origins that are remembered.
const KEPT: usize = 10_000;

/// What failed of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The POST.
    Inbox,
    /// The GET of the addressee's actor, which was to tell the inbox.
    Actor,
}

/// When the last GETs of an origin began, and what they brought.
type Last = Option<(Instant, Option<Answer>)>;

/// Asks after servers.
#[derive(Debug)]
pub(crate) struct Wellness {
    fetcher: Fetcher,
    ledger: Arc<dyn Ledger>,
    origins: Mutex<HashMap<Origin, Arc<AsyncMutex<Last>>>>,
}

impl Wellness {
    pub(crate) fn new(fetcher: Fetcher, ledger: Arc<dyn Ledger>) -> Self {
        Self {
            fetcher,
            ledger,
            origins: Mutex::default(),
        }
    }

    /// What a GET brought that began after `failed`: of the addressee's actor, or of the server's base. None: nothing that
    /// says anything about the server. Lanes that failed together share the answer.
    pub(crate) async fn ask(&self, lane: &Lane, what: Failed, failed: Instant) -> Option<Answer> {
        let last = self.origin(&lane.origin);
        let mut last = last.lock().await;
        if let Some((began, answer)) = *last
            && began >= failed
        {
            return answer;
        }
        let began = Instant::now();
        let answer = self.get(lane, what).await;
        *last = Some((began, answer));
        answer
    }

    /// One addressee's actor and inbox may both be broken, by accident or on purpose: then the server is asked itself.
    async fn get(&self, lane: &Lane, what: Failed) -> Option<Answer> {
        let actor = match what {
            Failed::Inbox => self.ledger.follower_of(lane).await.unwrap_or_default(),
            Failed::Actor => None,
        };
        if let Some(actor) = actor {
            let answer = self.fetch(&actor).await.0;
            if answer.is_some_and(is_well) {
                return answer;
            }
        }
        Some(self.server(&lane.origin).await)
    }

    /// What a server says of itself by [NodeInfo](https://nodeinfo.diaspora.software/protocol), which whatever answers
    /// inboxes answers as well; `/` may be a page that stands there while what is behind it is down.
    async fn server(&self, origin: &Origin) -> Answer {
        let url = format!("{origin}/.well-known/nodeinfo");
        let fetched = tokio::time::timeout(TIMEOUT, self.fetcher.get(&url, "application/json")).await;
        let told = fetched.ok().and_then(Result::ok);
        if told.is_some_and(|document| document.content_type.contains("json")) {
            return answered(200);
        }
        Answer::Nothing
    }

    /// What a GET of an origin's base brings, and the cause where it brings nothing good.
    pub(crate) async fn base(&self, origin: &Origin) -> (Option<Answer>, String) {
        self.fetch(&origin.base()).await
    }

    async fn fetch(&self, url: &str) -> (Option<Answer>, String) {
        let fetched = tokio::time::timeout(TIMEOUT, self.fetcher.get(url, ACCEPT)).await;
        let Ok(fetched) = fetched else {
            return (Some(Answer::Nothing), "no answer in time".to_owned());
        };
        let Err(error) = fetched else {
            return (Some(answered(200)), String::new());
        };
        let answer = match error {
            // Whatever it was, a server answered it.
            FetchError::TooLarge(_) | FetchError::Redirects => Some(answered(200)),
            FetchError::Status(status) => Some(answered(status)),
            FetchError::Forbidden(_) => None,
            FetchError::Unreachable(_) => Some(Answer::Nothing),
        };
        (answer, error.to_string())
    }

    fn origin(&self, origin: &Origin) -> Arc<AsyncMutex<Last>> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if origins.len() >= KEPT {
            origins.retain(|_, last| Arc::strong_count(last) > 1 || is_recent(last));
        }
        origins.entry(origin.clone()).or_default().clone()
    }
}

fn answered(status: u16) -> Answer {
    Answer::Status {
        status,
        retry_after: None,
    }
}

/// Whether a server that is well gave the answer.
fn is_well(answer: Answer) -> bool {
    classify(answer) != Outcome::OriginFailed
}

fn is_recent(last: &AsyncMutex<Last>) -> bool {
    last.try_lock()
        .is_ok_and(|last| last.is_some_and(|(began, _)| began.elapsed() < Duration::from_secs(60)))
}
