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
        match tokio::time::timeout(TIMEOUT, self.fetcher.get(&url, ACCEPT)).await {
            // Whatever it was, a server answered it.
            Ok(Ok(_) | Err(FetchError::TooLarge | FetchError::Redirects)) => Some(Answer::Status {
                status: 200,
                retry_after: None,
            }),
            Ok(Err(FetchError::Status(status))) => Some(Answer::Status {
                status,
                retry_after: None,
            }),
            Ok(Err(FetchError::Forbidden(_))) => None,
            Ok(Err(FetchError::Unreachable(_))) | Err(_) => Some(Answer::Nothing),
        }
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
