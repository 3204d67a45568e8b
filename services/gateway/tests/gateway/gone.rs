//! Clients that go away before they are answered: what they began is carried out, and counts as it would have.

use crate::{domain::Domain, letter::Letter, peer::Peer, wait::eventually};

const ALICE: &str = "https://events.example/actors/alice";

struct Scene {
    domain: Domain,
    stranger: Peer,
}

impl Scene {
    /// Where a stranger may have one letter stored, and not two.
    async fn new() -> Self {
        Self {
            domain: Domain::with(|settings| settings.stranger_quota = 6_000).await,
            stranger: Peer::start().await,
        }
    }

    fn letter(&self, name: &str) -> Letter {
        let note = self.stranger.note(name, &"x".repeat(3_000), &[ALICE]);
        Letter::new(&self.domain, &self.stranger, &note)
    }

    /// Sends a letter and goes away when the log has carried out a call of this method; the letter is stored all the same.
    async fn leave_during(&self, method: &'static str, letter: &Letter) {
        let head = self.domain.head().await;
        let late = self.domain.delay(method);
        tokio::select! {
            answer = letter.send(&self.domain) => panic!("{answer:?}"),
            () = late.is_ready() => late.answer(),
        }
        eventually(async || match self.domain.head().await {
            now if now == head + 1 => Ok(()),
            now => Err(format!("the head is {now} after {head}")),
        })
        .await;
    }

    async fn counted(&self) -> Option<serde_json::Value> {
        self.domain.kv("peer-bytes", self.stranger.origin.as_str()).await
    }
}

#[tokio::test]
async fn a_client_that_goes_away_while_its_activity_is_stored_has_used_its_quota() {
    let scene = Scene::new().await;
    scene.leave_during("/AppendMany", &scene.letter("bob")).await;
    scene
        .letter("eve")
        .send(&scene.domain)
        .await
        .assert_refused(403, "quota_exceeded");
}

#[tokio::test]
async fn a_client_that_goes_away_while_a_quota_is_asked_for_costs_the_origin_no_more_than_is_stored() {
    let scene = Scene::new().await;
    let letter = scene.letter("bob");
    scene.leave_during("/ChangeKv", &letter).await;
    assert_eq!(scene.counted().await, Some(letter.body.len().into()));
    letter.send(&scene.domain).await.assert_status(200);
    assert_eq!(scene.counted().await, Some(letter.body.len().into()));
}
