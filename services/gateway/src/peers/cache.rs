//! What is remembered of peers' actors in memory, and what is remembered of those that could not be had.

use std::sync::Arc;

use fedsx_runtime::code::Refusal;
use jiff::Timestamp;
use moka::future::Cache as Memory;

use super::actor::PeerActor;
use crate::problem::Problem;

/// Actors, and failures, held in memory. What is read of a document is at most some 20 KiB, commonly one.
const MAX_ACTORS: u64 = 10_000;

/// Why an actor is not known, and until when it is not asked for again.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) problem: Problem,
    until: Option<Timestamp>,
}

impl Failure {
    /// One that says nothing about the actor and is not remembered.
    pub(super) fn passing(problem: impl Into<Problem>) -> Self {
        Self {
            problem: problem.into(),
            until: None,
        }
    }

    pub(super) fn until(refusal: Refusal, until: Timestamp) -> Self {
        Self {
            problem: refusal.into(),
            until: Some(until),
        }
    }
}

/// What could not be had, by its URL.
#[derive(Debug)]
pub(super) struct Failures(Memory<String, Failure>);

impl Default for Failures {
    fn default() -> Self {
        Self(Memory::new(MAX_ACTORS))
    }
}

impl Failures {
    /// The remembered failure, while it holds.
    pub(super) async fn get(&self, url: &str, now: Timestamp) -> Option<Problem> {
        let failure = self.0.get(url).await?;
        if failure.until.is_some_and(|until| now < until) {
            return Some(failure.problem);
        }
        self.0.invalidate(url).await;
        None
    }

    pub(super) async fn remember(&self, url: &str, failure: &Failure) {
        if failure.until.is_some() {
            self.0.insert(url.to_owned(), failure.clone()).await;
        }
    }

    pub(super) async fn forget(&self, url: &str) {
        self.0.invalidate(url).await;
    }
}

#[derive(Debug)]
pub(super) struct Cache {
    actors: Memory<String, Arc<PeerActor>>,
    pub(super) failures: Failures,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            actors: Memory::new(MAX_ACTORS),
            failures: Failures::default(),
        }
    }
}

impl Cache {
    /// The actor in memory.
    pub(super) async fn get(&self, id: &str) -> Option<Arc<PeerActor>> {
        self.actors.get(id).await
    }

    /// The actor in memory, or else what the one lookup of those waiting for it brings.
    pub(super) async fn get_or_look_up(
        &self,
        id: &str,
        look_up: impl Future<Output = Result<PeerActor, Failure>>,
    ) -> Result<Arc<PeerActor>, Problem> {
        let look_up = async { look_up.await.map(Arc::new) };
        self.actors
            .try_get_with_by_ref(id, look_up)
            .await
            .map_err(|failure| failure.problem.clone())
    }

    /// Replaces what is in memory where it is as doubtful as the caller's; one replacement runs at a time, and those
    /// who waited for it share it.
    pub(super) async fn replace_if(
        &self,
        id: &str,
        fresh: impl Future<Output = PeerActor>,
        doubtful: impl Fn(&PeerActor) -> bool + Send + Sync,
    ) -> Arc<PeerActor> {
        let fresh = async { Arc::new(fresh.await) };
        let entry = self.actors.entry_by_ref(id);
        entry
            .or_insert_with_if(fresh, |current| doubtful(current))
            .await
            .into_value()
    }

    pub(super) async fn forget(&self, id: &str) {
        self.actors.invalidate(id).await;
        self.failures.forget(id).await;
    }
}

#[cfg(test)]
mod tests {
    use fedsx_runtime::code::Code;

    use super::*;

    const ID: &str = "https://blog.example/actors/alice";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn a_failure_holds_until_its_time_and_hides_no_document() {
        let failures = Failures::default();
        let failure = Failure::until(Refusal::new(Code::UnknownKey, "gone"), at(10));
        failures.remember(ID, &failure).await;
        assert_eq!(
            failures.get(ID, at(9)).await.unwrap().refusal.code,
            Code::UnknownKey
        );
        assert!(failures.get(ID, at(10)).await.is_none());
        failures
            .remember(ID, &Failure::passing(Refusal::new(Code::Unavailable, "log")))
            .await;
        assert!(failures.get(ID, at(0)).await.is_none());
    }
}
