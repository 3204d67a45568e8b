//! Who signed: one valid signature of the activity's actor.

use std::time::Duration;

use fedsx_e2e::{eventually, settle, without_proof};
use serde_json::{Value, json};

use super::Scene;

#[tokio::test]
async fn who_did_not_sign_is_refused() {
    let scene = Scene::new().await;
    let mallory = scene.stranger.actor("mallory");
    let day = 24 * 3600;
    let mut other_target = scene.plain();
    other_target.target = scene.node.url("/actors/author/inbox");
    let refused = vec![
        ("unsigned", scene.plain().unsigned(), 401, "missing_signature"),
        ("forged", scene.plain().forged(), 403, "bad_signature"),
        ("made for another inbox", other_target, 403, "bad_signature"),
        ("a day old", scene.plain().signed_later(-day), 401, "stale_date"),
        (
            "from tomorrow",
            scene.plain().signed_later(day),
            401,
            "stale_date",
        ),
        (
            "of an unknown key",
            scene.plain().by_key(format!("{mallory}#other")),
            401,
            "unknown_key",
        ),
        (
            "of another actor's key",
            scene
                .plain()
                .by_key(format!("{}#ed25519-key", scene.stranger.actor("trent"))),
            403,
            "not_the_actor",
        ),
        (
            "of a key at another origin",
            scene
                .plain()
                .by_key(format!("{}#ed25519-key", scene.node.actor("author"))),
            403,
            "not_the_actor",
        ),
    ];
    scene.refuses(refused).await;
}

#[tokio::test]
async fn a_broken_proof_is_refused_whoever_signed_the_request() {
    let scene = Scene::new().await;
    let mut changed = scene.activity.clone();
    let object = changed["object"].as_object_mut().expect("an object");
    object.insert("name".to_owned(), "Changed".into());
    // Under an id of its own, or the CID would tell first.
    changed["id"] = format!("{}/notes/1", scene.stranger.origin()).into();
    let others = scene
        .stranger
        .note("trent", "Hello", &[&scene.node.actor("author")]);
    let mut borrowed = scene.activity.clone();
    borrowed["proof"] = others["proof"].clone();
    let letter = |activity: &Value| scene.stranger.letter(&scene.node, activity);
    let refused = vec![
        (
            "changed after it was sealed",
            letter(&changed),
            403,
            "bad_signature",
        ),
        (
            "changed, the proof alone",
            letter(&changed).unsigned(),
            403,
            "bad_signature",
        ),
        (
            "the proof of another actor",
            letter(&borrowed),
            403,
            "not_the_actor",
        ),
    ];
    scene.refuses(refused).await;
}

#[tokio::test]
async fn either_signature_is_enough() {
    let scene = Scene::new().await;
    scene.letter().unsigned().post().await.assert_status(202);
    let other = scene.stranger.note("mallory", "Again", &[&scene.node.base()]);
    scene
        .stranger
        .post(&scene.node, &without_proof(&other))
        .await
        .assert_status(202);
    let received = scene.node.received(&scene.stranger.actor("mallory")).await;
    let verified: Vec<_> = received.iter().map(|entry| entry.verified_by.as_str()).collect();
    assert_eq!(verified, ["proof", "rfc9421"]);
}

#[tokio::test]
async fn a_forged_follow_makes_no_follower() {
    let scene = Scene::new().await;
    let author = scene.node.actor("author");
    let victim = scene.stranger.follow("victim", &author);
    let head = scene.node.head().await;
    let letter = scene.stranger.letter(&scene.node, &without_proof(&victim));
    letter
        .clone()
        .unsigned()
        .post()
        .await
        .assert_refused(401, "missing_signature");
    letter
        .clone()
        .forged()
        .post()
        .await
        .assert_refused(403, "bad_signature");
    let mallory = format!("{}#ed25519-key", scene.stranger.actor("mallory"));
    letter
        .by_key(mallory)
        .post()
        .await
        .assert_refused(403, "not_the_actor");
    settle(&[&scene.node]).await;
    assert_eq!(scene.node.head().await, head);
    assert_eq!(scene.node.followers("author").await, []);
    assert_eq!(scene.stranger.received().len(), 0, "nobody was answered");
}

#[tokio::test]
async fn nobody_speaks_for_a_local_actor_from_outside() {
    let scene = Scene::new().await;
    let published = scene.node.publish("author", "Mine").await;
    let outbox = scene.node.outbox("author").await;
    let mine = outbox
        .iter()
        .find(|entry| entry.cid == published.cid)
        .expect("the entry");
    let head = scene.node.head().await;
    let letter = scene.letter().with_body(mine.body.clone()).unsigned();
    letter.post().await.assert_refused(403, "forbidden");
    let follow = json!({ "type": "Follow", "object": scene.node.base(), "to": [scene.node.base()] });
    let mut claimed = scene.stranger.seal("mallory", &follow);
    claimed["actor"] = scene.node.actor("author").into();
    claimed["id"] = scene.node.url("/activities/1").into();
    letter
        .with_body(claimed.to_string())
        .post()
        .await
        .assert_refused(403, "forbidden");
    assert_eq!(scene.node.head().await, head);
}

#[tokio::test]
async fn a_key_that_cannot_be_fetched_is_asked_for_later() {
    let mut scene = Scene::new().await;
    let head = scene.node.head().await;
    scene.stranger.down().await;
    let answer = scene.letter().post().await;
    answer.assert_refused(503, "fetch_failed");
    assert!(answer.headers.contains_key("retry-after"), "{answer}");
    assert_eq!(scene.node.head().await, head);
    scene.stranger.up().await;
    eventually("the key is fetched", Duration::from_secs(120), async || {
        let answer = scene.letter().post().await;
        (answer.status == 202).then_some(()).ok_or(answer)
    })
    .await;
}
