//! Where an addressee that is known by name alone takes its deliveries: its document tells.

use std::{sync::Arc, time::Duration};

use fedsx_kernel::{actor::ActorDocument, json, origin::Origin};
use fedsx_runtime::fetch::{FetchError, Fetcher, TIMEOUT};
use jiff::Timestamp;
use moka::future::Cache;

use crate::post::{Brought, failed};

/// How an actor's document is asked for (ActivityPub, section 3.2).
pub(crate) const ACCEPT: &str =
    "application/activity+json, application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"";
/// Inboxes that are kept.
const KEPT: u64 = 100_000;
/// An inbox that moved is noticed after so long.
const FRESH: Duration = Duration::from_secs(3600);

/// Actors' inboxes.
#[derive(Debug)]
pub(crate) struct Resolver {
    fetcher: Fetcher,
    inboxes: Cache<String, Arc<str>>,
}

impl Resolver {
    pub(crate) fn new(fetcher: Fetcher) -> Self {
        Self {
            fetcher,
            inboxes: Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build(),
        }
    }

    /// An actor's inbox.
    ///
    /// # Errors
    /// What the fetch brought instead, as if it had been the delivery: no answer is the origin's failure, 404 is a refusal.
    pub(crate) async fn inbox(&self, actor: &str, now: Timestamp) -> Result<Arc<str>, Arc<Brought>> {
        self.inboxes
            .try_get_with_by_ref(actor, self.fetch(actor, now))
            .await
    }

    /// Forgets an inbox that a peer did not know.
    pub(crate) async fn forget(&self, actor: &str) {
        self.inboxes.invalidate(actor).await;
    }

    async fn fetch(&self, actor: &str, now: Timestamp) -> Result<Arc<str>, Brought> {
        let document = tokio::time::timeout(TIMEOUT, self.fetcher.get(actor, ACCEPT))
            .await
            .unwrap_or_else(|_| Err(FetchError::Unreachable("no answer in time".to_owned())))
            .map_err(|error| failed(&error, now))?;
        Origin::of(actor)
            .ok()
            .filter(|origin| origin.owns(&document.url))
            .ok_or_else(|| format!("its document came from {}", document.url))
            .and_then(|_| read(actor, &document.body))
            .map_err(|why| Brought::refused(format!("{actor}: {why}")))
            .map(Arc::from)
    }
}

/// The inbox in an actor's document, which must be the document of this very actor.
fn read(actor: &str, document: &[u8]) -> Result<String, String> {
    let value = json::parse(document).map_err(|error| error.to_string())?;
    let object = value.as_object().ok_or("its document is no JSON object")?;
    let document = ActorDocument::parse(object).map_err(|error| error.to_string())?;
    let is_it = document.id == actor
        || Origin::of(actor).is_ok_and(|origin| origin.is_base(actor) && origin.is_base(&document.id));
    if !is_it {
        return Err(format!("its document is that of {:?}", document.id));
    }
    Ok(document.inbox)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACTOR: &str = "https://peer.example/actors/bob";

    fn document(id: &str, inbox: &str) -> Vec<u8> {
        let document = json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": id, "type": "Person", "inbox": inbox, "outbox": format!("{id}/outbox"),
        });
        document.to_string().into_bytes()
    }

    #[test]
    fn the_inbox_is_the_documents() {
        let inbox = "https://peer.example/actors/bob/inbox";
        assert_eq!(read(ACTOR, &document(ACTOR, inbox)).as_deref(), Ok(inbox));
    }

    #[test]
    fn another_actors_document_or_an_inbox_elsewhere_is_refused() {
        let inbox = "https://peer.example/actors/eve/inbox";
        assert!(read(ACTOR, &document("https://peer.example/actors/eve", inbox)).is_err());
        assert!(read(ACTOR, &document(ACTOR, "https://victim.example/inbox")).is_err());
        assert!(read(ACTOR, b"[]").is_err());
    }
}
