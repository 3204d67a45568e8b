//! Several gateways over one log: what one of them learns of a peer holds for all.

use serde_json::{Value, json};

use crate::{
    domain::{Domain, Gateway},
    letter::{Letter, without_proof},
    peer::{Page, Peer},
    wait::eventually,
};

const ALICE: &str = "https://events.example/actors/alice";
const BOB: &str = "/actors/bob";
/// What is in memory is believed for so long. Seconds.
const BELIEVED: i64 = 5;

struct Scene {
    domain: Domain,
    other: Gateway,
    peer: Peer,
}

impl Scene {
    /// Two gateways, both of which know bob.
    async fn new() -> Self {
        let scene = Self::strangers().await;
        scene.letter("1").send(&scene.domain).await.assert_status(202);
        scene
            .letter("2")
            .send_to(&scene.other.router)
            .await
            .assert_status(202);
        assert_eq!(scene.peer.gets(BOB), 1);
        scene
    }

    async fn strangers() -> Self {
        let (domain, peer) = (Domain::new().await, Peer::start().await);
        let other = domain.second_gateway().await;
        Self { domain, other, peer }
    }

    fn letter(&self, text: &str) -> Letter {
        self.of(&self.peer.note("bob", text, &[ALICE]))
    }

    fn of(&self, activity: &Value) -> Letter {
        Letter::new(&self.domain, &self.peer, activity)
    }

    /// Bob says of himself that he changed, or goes.
    fn says(&self, verb: &str) -> Letter {
        let object = self.peer.actor("bob");
        let draft = json!({ "type": verb, "object": object, "to": [ALICE] });
        self.of(&self.peer.seal("bob", &draft))
    }

    async fn record(&self) -> Option<Value> {
        self.domain.kv("peer-actor", &self.peer.actor("bob")).await
    }
}

#[tokio::test]
async fn a_key_that_changed_by_one_gateway_has_changed_for_the_other() {
    let scene = Scene::new().await;
    let old = scene.letter("signed before");
    scene.says("Update").send(&scene.domain).await.assert_status(202);
    scene.peer.rotate();
    // At once, though the other has asked for bob a moment ago.
    let new = scene.letter("signed after");
    new.send_to(&scene.other.router).await.assert_status(202);
    assert_eq!(scene.peer.gets(BOB), 2);
    old.send_to(&scene.other.router)
        .await
        .assert_refused(403, "bad_signature");
    // And the first learns from what the other wrote.
    scene.letter("3").send(&scene.domain).await.assert_status(202);
    assert_eq!(scene.peer.gets(BOB), 2);
}

#[tokio::test]
async fn a_key_that_was_given_up_is_not_believed_for_long_by_the_other_gateway() {
    let scene = Scene::new().await;
    let old = scene.letter("signed before");
    scene.says("Update").send(&scene.domain).await.assert_status(202);
    scene.peer.rotate();
    scene.domain.later(BELIEVED);
    old.send_to(&scene.other.router)
        .await
        .assert_refused(403, "bad_signature");
}

#[tokio::test]
async fn an_actor_that_went_away_by_one_gateway_is_gone_for_the_other() {
    let scene = Scene::new().await;
    let later = scene.letter("posthumous");
    scene.says("Delete").send(&scene.domain).await.assert_status(202);
    scene.peer.answers(BOB, Page::Status(410));
    scene.domain.later(BELIEVED);
    later
        .send_to(&scene.other.router)
        .await
        .assert_refused(401, "unknown_key");
}

#[tokio::test]
async fn what_a_gateway_looked_up_before_does_not_replace_what_another_learned_since() {
    let scene = Scene::strangers().await;
    // The other knows bob, and has written nothing.
    let forged = scene.of(&without_proof(&scene.peer.note("bob", "0", &[ALICE])));
    forged
        .forged()
        .send_to(&scene.other.router)
        .await
        .assert_refused(403, "bad_signature");
    assert_eq!(scene.record().await, None);
    scene.says("Update").send(&scene.domain).await.assert_status(202);
    let mark = scene.record().await.unwrap();
    scene
        .letter("1")
        .send_to(&scene.other.router)
        .await
        .assert_status(202);
    assert_eq!(scene.record().await, Some(mark), "the activity alone was written");
    scene
        .letter("2")
        .send_to(&scene.other.router)
        .await
        .assert_status(202);
    let record = scene.record().await.unwrap();
    assert_eq!(record["inbox"], format!("{}/inbox", scene.peer.actor("bob")));
    assert_eq!(scene.peer.gets(BOB), 3, "each once before, and once after");
}

#[tokio::test]
async fn an_actor_that_did_not_change_is_not_fetched_again_for_being_doubted() {
    let scene = Scene::new().await;
    for _ in 0..4 {
        scene.domain.later(BELIEVED);
        let (text, router) = (scene.domain.now().to_string(), &scene.other.router);
        scene.letter(&text).send_to(router).await.assert_status(202);
        scene
            .letter(&format!("{text} too"))
            .send(&scene.domain)
            .await
            .assert_status(202);
    }
    assert_eq!(scene.peer.gets(BOB), 1);
}

#[tokio::test]
async fn the_same_activity_by_both_is_logged_once() {
    let scene = Scene::new().await;
    let head = scene.domain.head().await;
    for n in 0..20 {
        let letter = scene.letter(&format!("twice {n}"));
        let (one, two) = tokio::join!(letter.send(&scene.domain), letter.send_to(&scene.other.router));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 202]);
    }
    assert_eq!(scene.domain.head().await, head + 20);
}

#[tokio::test]
async fn a_strangers_quota_is_one_for_both() {
    let domain = Domain::with(|settings| settings.stranger_quota = 10_000).await;
    let (other, peer) = (domain.second_gateway().await, Peer::start().await);
    let letters: Vec<_> = (0..24)
        .map(|n| {
            let note = peer.note("bob", &format!("{n} {}", "x".repeat(500)), &[ALICE]);
            Letter::new(&domain, &peer, &note)
        })
        .collect();
    let sent = letters.iter().enumerate().map(async |(n, letter)| {
        let router = if n % 2 == 0 { &domain.router } else { &other.router };
        letter.send_to(router).await.status.as_u16()
    });
    let statuses = futures::future::join_all(sent).await;
    let stored: usize = letters
        .iter()
        .zip(&statuses)
        .filter(|(_, status)| **status == 202)
        .map(|(letter, _)| letter.body.len())
        .sum();
    let refused = statuses.iter().filter(|status| **status == 403).count();
    assert!(stored <= 10_000 && refused > 0, "{stored} bytes: {statuses:?}");
    // As much as fits but for what one more would take.
    assert!(
        stored + letters[0].body.len() + 100 > 10_000,
        "{stored} bytes: {statuses:?}"
    );
}

#[tokio::test]
async fn what_a_gateway_was_granted_and_did_not_need_it_gives_back() {
    let domain = Domain::new().await;
    let (other, peer) = (domain.second_gateway().await, Peer::start().await);
    let letter = Letter::new(&domain, &peer, &peer.note("bob", "hello", &[ALICE]));
    letter.send_to(&other.router).await.assert_status(202);
    let used = async || domain.kv("peer-bytes", peer.origin.as_str()).await.unwrap();
    let size = json!(letter.body.len());
    assert!(used().await.as_u64() > size.as_u64());
    other.context.shutdown.begin();
    eventually(async || match used().await {
        used if used == size => Ok(()),
        used => Err(format!("{used} of {size}")),
    })
    .await;
}
