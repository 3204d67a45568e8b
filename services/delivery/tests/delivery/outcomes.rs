//! What answers mean for a delivery, its lane and its peer.

use axum::{http::StatusCode, response::IntoResponse as _};
use fedsx_kernel::delivery::ladder::LADDER;

use crate::{domain::Domain, process::eventually};

#[tokio::test]
async fn a_refusal_ends_the_delivery_and_the_lane_goes_on() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    let first = domain.post().await;
    let refused = first.activity_id.clone();
    process.settled(first.position).await;
    peer.answers(move |_, activity| {
        let problem = r#"{"code":"schema_refused","detail":"title is too short"}"#;
        match activity["object"]["content"].as_str() {
            Some("refuse me") => (StatusCode::UNPROCESSABLE_ENTITY, problem).into_response(),
            _ => StatusCode::ACCEPTED.into_response(),
        }
    });
    let object = serde_json::json!({"type": "Note", "content": "refuse me"});
    let to = format!("{}/followers", domain.alice);
    let bad = domain
        .publish(serde_json::json!({"type": "Create", "object": object, "to": [to]}))
        .await;
    let good = domain.post().await;
    process.settled(good.position).await;
    assert_eq!(peer.ids()[1..], [refused, good.activity_id]);
    let row = process.row(bad.position).await;
    assert_eq!(
        (row.state.as_str(), row.status, row.attempts),
        ("refused", 422, 1)
    );
    assert_eq!(row.cause, "422 schema_refused: title is too short");
}

#[tokio::test]
async fn a_server_error_climbs_the_ladder_until_the_delivery_is_dead_and_then_the_lane_goes_on() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    eventually("the Accept arrives", async || peer.received().len() == 1).await;
    peer.answers(|_, activity| match activity["object"]["content"].as_str() {
        Some("break") => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => StatusCode::ACCEPTED.into_response(),
    });
    let object = serde_json::json!({"type": "Note", "content": "break"});
    let to = format!("{}/followers", domain.alice);
    let bad = domain
        .publish(serde_json::json!({"type": "Create", "object": object, "to": [to]}))
        .await;
    let good = domain.post().await;
    process.fanned_out(good.position).await;
    for (step, wait) in LADDER.iter().enumerate() {
        let attempts = u32::try_from(step).unwrap() + 1;
        eventually("another attempt", async || {
            process.row(bad.position).await.attempts == attempts
        })
        .await;
        let row = process.row(bad.position).await;
        assert_eq!((row.state.as_str(), row.status), ("pending", 500));
        let waits = row.next_at_ms - domain.clock.now().as_millisecond();
        let least = wait.as_secs() * 1000;
        assert!((least..=least * 6 / 5).contains(&waits), "rung {step}: {waits}");
        assert_eq!(
            process.row(good.position).await.attempts,
            0,
            "its successor waits"
        );
        // With its jitter a wait is a fifth longer at most, and it begins when the attempt ended.
        domain.pass((*wait + *wait / 5).as_secs() + 10);
    }
    process.settled(good.position).await;
    assert_eq!(process.row(bad.position).await.state, "dead");
    assert_eq!(peer.ids().last(), Some(&good.activity_id));
    assert_eq!(process.peer(&peer).await.state, "live");
}

#[tokio::test]
async fn a_429_holds_the_origin_for_as_long_as_it_asks() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    eventually("the Accept arrives", async || peer.received().len() == 1).await;
    peer.answers(|_, _| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "90")]).into_response());
    let posted = domain.post().await;
    eventually("it is held", async || process.peer(&peer).await.hold_until_ms > 0).await;
    let tried = peer.tried();
    peer.says(202);
    domain.pass(80);
    // Another lane of the same origin is held with it.
    let named = domain.note(&[&peer.actor("carol")]).await;
    process.fanned_out(named.position).await;
    assert_eq!(peer.tried(), tried);
    assert_eq!(process.row(posted.position).await.attempts, 1);
    domain.pass(20);
    process.settled(named.position).await;
    assert_eq!(process.row(posted.position).await.state, "delivered");
}

#[tokio::test]
async fn a_410_ends_the_follow_by_an_entry_in_the_log() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let (follow, _) = domain.followed_by(&peer, "bob").await;
    eventually("the Accept arrives", async || peer.received().len() == 1).await;
    peer.says(410);
    let posted = domain.post().await;
    eventually("the log says so", async || !domain.decisions().await.is_empty()).await;
    let decision = domain.decisions().await.remove(0);
    assert_eq!(decision["type"], "Gone");
    assert_eq!(decision["follows"], serde_json::json!([follow.cid().as_str()]));
    process.settled(posted.position + 1).await;
    assert_eq!(process.row(posted.position).await.state, "refused");
    peer.says(202);
    let after = domain.post().await;
    process.settled(after.position).await;
    assert!(
        process
            .rows()
            .await
            .iter()
            .all(|row| row.position <= posted.position)
    );
}

#[tokio::test]
async fn a_peer_that_was_away_gets_everything_in_order_and_once() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let (_, accept) = domain.followed_by(&peer, "bob").await;
    process.settled(accept.position).await;
    peer.is_away(true);
    let mut sent = vec![accept.activity_id];
    let mut last = 0;
    for _ in 0..30 {
        let posted = domain.post().await;
        last = posted.position;
        sent.push(posted.activity_id);
    }
    eventually("it is seen to be away", async || {
        process.peer(&peer).await.failing_since_ms > 0
    })
    .await;
    process.fanned_out(last).await;
    let tried = peer.tried();
    domain.pass(22);
    eventually("it is tried again", async || peer.tried() > tried).await;
    peer.is_away(false);
    domain.settles(&process, last).await;
    assert_eq!(peer.ids(), sent);
    assert_eq!(process.peer(&peer).await.failing_since_ms, 0);
}

#[tokio::test]
async fn while_a_peer_fails_one_attempt_is_made_at_a_time() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let names = ["ann", "bob", "cat"].map(|name| peer.actor(name));
    let to: Vec<_> = names.iter().map(String::as_str).collect();
    let first = domain.note(&to).await;
    process.settled(first.position).await;
    peer.is_away(true);
    let second = domain.note(&to).await;
    eventually("it is seen to be away", async || {
        process.peer(&peer).await.failing_since_ms > 0
    })
    .await;
    process.fanned_out(second.position).await;
    let attempt = async || {
        let tried = peer.tried();
        domain.pass(22);
        eventually("it is tried", async || peer.tried() > tried).await;
        let now = domain.clock.now().as_millisecond();
        eventually("it is held", async || {
            process.peer(&peer).await.hold_until_ms > now
        })
        .await;
        peer.tried() - tried
    };
    // Those that were under way when the first one failed.
    attempt().await;
    for _ in 0..3 {
        assert_eq!(attempt().await, 1);
    }
    peer.is_away(false);
    domain.settles(&process, second.position).await;
    assert_eq!(peer.received().len(), 6);
}

#[tokio::test]
async fn one_poison_activity_never_parks_a_peer_that_is_well() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    eventually("the Accept arrives", async || peer.received().len() == 1).await;
    peer.answers(|_, activity| match activity["object"]["content"].as_str() {
        Some("poison") => StatusCode::BAD_GATEWAY.into_response(),
        _ => StatusCode::ACCEPTED.into_response(),
    });
    let object = serde_json::json!({"type": "Note", "content": "poison"});
    let to = format!("{}/followers", domain.alice);
    let bad = domain
        .publish(serde_json::json!({"type": "Create", "object": object, "to": [to]}))
        .await;
    process.fanned_out(bad.position).await;
    for attempts in 1..=4 {
        eventually("it counts as its own", async || {
            process.row(bad.position).await.attempts == attempts
        })
        .await;
        assert_eq!(process.peer(&peer).await.state, "live");
        assert_eq!(process.peer(&peer).await.failing_since_ms, 0);
        // Another lane of the same peer is not hindered.
        let named = domain.note(&[&peer.actor("carol")]).await;
        eventually("the other lane goes on", async || {
            peer.ids().contains(&named.activity_id)
        })
        .await;
        domain.pass(13 * 60);
    }
}

#[tokio::test]
async fn one_broken_actor_never_parks_a_peer_that_is_well() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    // Of one the inbox is known, of the other it is yet to be found.
    let known = domain.note(&[&peer.actor("bob")]).await;
    process.settled(known.position).await;
    for name in ["bob", "dan"] {
        peer.breaks(name);
        let bad = domain.note(&[&peer.actor(name)]).await;
        process.fanned_out(bad.position).await;
        for attempts in 1..=3 {
            eventually("it counts as its own", async || {
                process.row(bad.position).await.attempts == attempts
            })
            .await;
            let row = process.peer(&peer).await;
            assert_eq!((row.state.as_str(), row.failing_since_ms), ("live", 0));
            let named = domain.note(&[&peer.actor("carol")]).await;
            eventually("the other lane goes on", async || {
                peer.ids().contains(&named.activity_id)
            })
            .await;
            domain.pass(150);
        }
    }
}

#[tokio::test]
async fn an_inbox_that_the_guard_forbids_is_refused() {
    let domain = Domain::start().await;
    let process = domain.deliver().await;
    let posted = domain.note(&["http://10.0.0.1/actors/bob"]).await;
    process.settled(posted.position).await;
    let row = process.row(posted.position).await;
    assert_eq!(row.state, "refused");
    assert!(row.cause.contains("plain http"), "{}", row.cause);
}

#[tokio::test]
async fn a_peer_that_nobody_listens_for_is_held_with_its_cause() {
    let domain = Domain::start().await;
    let process = domain.deliver().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let actor = format!("http://{}/actors/bob", listener.local_addr().unwrap());
    drop(listener);
    let posted = domain.note(&[&actor]).await;
    process.fanned_out(posted.position).await;
    eventually("it is tried", async || {
        !process.row(posted.position).await.cause.is_empty()
    })
    .await;
    let row = process.row(posted.position).await;
    assert_eq!((row.state.as_str(), row.attempts, row.status), ("pending", 1, 0));
    assert!(row.cause.contains("refused"), "{}", row.cause);
}
