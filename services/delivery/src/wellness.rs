//! Whether a server is well although a delivery failed: a GET of the addressee's actor, one at a time for each origin.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fedsx_kernel::{delivery::outcome::Answer, origin::Origin};
use fedsx_runtime::fetch::{FetchError, Fetcher, TIMEOUT};
use tokio::sync::Mutex as AsyncMutex;

use crate::{lane::Lane, ledger::Ledger, resolve::ACCEPT};

/// Origins that are remembered.
const KEPT: usize = 10_000;

/// When the last GET of an origin began, and what it brought.
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

    /// What a GET of the addressee's actor brought that began after `failed`. None: nothing that says anything about the
    /// server. Lanes that failed together share the answer.
    pub(crate) async fn ask(&self, lane: &Lane, failed: Instant) -> Option<Answer> {
        let last = self.origin(&lane.origin);
        let mut last = last.lock().await;
        if let Some((began, answer)) = *last
            && began >= failed
        {
            return answer;
        }
        let began = Instant::now();
        let answer = self.get(lane).await;
        *last = Some((began, answer));
        answer
    }

    async fn get(&self, lane: &Lane) -> Option<Answer> {
        let follower = self.ledger.follower_of(lane).await.unwrap_or_default();
        let url = follower.unwrap_or_else(|| lane.origin.base());
        self.fetch(&url).await.0
    }

    /// What a GET of an origin's base brings, and the cause where it brings nothing good.
    pub(crate) async fn base(&self, origin: &Origin) -> (Option<Answer>, String) {
        self.fetch(&origin.base()).await
    }

    async fn fetch(&self, url: &str) -> (Option<Answer>, String) {
        let answered = |status| {
            Some(Answer::Status {
                status,
                retry_after: None,
            })
        };
        let fetched = tokio::time::timeout(TIMEOUT, self.fetcher.get(url, ACCEPT)).await;
        let Ok(fetched) = fetched else {
            return (Some(Answer::Nothing), "no answer in time".to_owned());
        };
        let Err(error) = fetched else {
            return (answered(200), String::new());
        };
        let answer = match error {
            // Whatever it was, a server answered it.
            FetchError::TooLarge | FetchError::Redirects => answered(200),
            FetchError::Status(status) => answered(status),
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

fn is_recent(last: &AsyncMutex<Last>) -> bool {
    last.try_lock()
        .is_ok_and(|last| last.is_some_and(|(began, _)| began.elapsed() < Duration::from_secs(60)))
}
