//! The same again, here or elsewhere.

use fedsx_e2e::Node;

use super::Scene;

#[tokio::test]
async fn a_replay_is_answered_and_logged_once() {
    let scene = Scene::new().await;
    scene.letter().post().await.assert_status(202);
    let head = scene.node.head().await;
    scene.letter().post().await.assert_status(200);
    scene.letter().unsigned().post().await.assert_status(200);
    scene
        .letter()
        .to(scene.node.url("/actors/author/inbox"))
        .post()
        .await
        .assert_status(200);
    assert_eq!(scene.node.head().await, head);
}

#[tokio::test]
async fn many_replays_at_once_are_logged_once() {
    let scene = Scene::new().await;
    let head = scene.node.head().await;
    let letter = scene.letter();
    let answers = futures::future::join_all((0..16).map(|_| letter.post())).await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(
        (
            accepted,
            answers.iter().filter(|answer| answer.status == 200).count()
        ),
        (1, 15)
    );
    assert_eq!(scene.node.head().await, head + 1);
}

#[tokio::test]
async fn what_was_directed_to_one_domain_cannot_be_replayed_to_another() {
    let (scene, third) = tokio::join!(Scene::new(), Node::events());
    let directed = scene
        .stranger
        .note("mallory", "For your eyes", &[&scene.node.base()]);
    scene
        .stranger
        .post(&scene.node, &directed)
        .await
        .assert_status(202);
    let head = third.head().await;
    // As the author's server, and as anybody who has seen it.
    let letter = scene.stranger.letter(&third, &directed);
    letter.post().await.assert_refused(403, "not_addressed");
    letter
        .unsigned()
        .post()
        .await
        .assert_refused(403, "not_addressed");
    assert_eq!(third.head().await, head);
}
