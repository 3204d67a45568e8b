use fedsx_kernel::delivery::{
    claim::CLAIM,
    outcome::Outcome,
    peer::{Peer, Standing},
};
use jiff::SignedDuration;

use super::{World, delivery, lanes, origin};
use crate::{
    broker::Due,
    ledger::{Hurried, Members, Whom, sweep::queued},
};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    a_lost_message_is_published_again(world().await).await;
    an_expired_claims_lane_is_published_again(world().await).await;
    what_is_not_claimable_is_not_published(world().await).await;
    of_a_failing_origin_one_lane_is_published(world().await).await;
    a_failing_origin_hides_nobody(world().await).await;
    a_long_queue_is_not_taken_for_lost(world().await).await;
    what_was_not_published_after_all_is_found_at_once(world().await).await;
    retry_now_makes_everything_due(world().await).await;
    retry_now_of_one_origin_leaves_the_others(world().await).await;
    origins_are_found_by_their_standing(world().await).await;
    old_delivered_rows_are_pruned_and_others_stay(world().await).await;
    closed_audience_rows_stay_until_every_origin_is_past_them(world().await).await;
}

async fn a_lost_message_is_published_again(world: World) {
    let lane = world.owe("peer", &[1]).await;
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
    world.clock.advance(queued(1));
    assert_eq!(lanes(&world.ledger.sweep(10).await.unwrap()), [lane]);
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
}

async fn an_expired_claims_lane_is_published_again(world: World) {
    let lane = world.owe("peer", &[1]).await;
    world.claim(&[lane], 1).await;
    world.clock.advance(CLAIM - SignedDuration::from_secs(1));
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
    world.pass(1);
    assert_eq!(lanes(&world.ledger.sweep(10).await.unwrap()), [lane]);
}

async fn what_is_not_claimable_is_not_published(world: World) {
    let until = world.now() + SignedDuration::from_secs(60);
    world
        .put_peer(
            "held",
            Peer {
                hold_until: Some(until),
                ..Peer::LIVE
            },
        )
        .await;
    world.put_peer("parked", Peer::LIVE.parked(1, world.now())).await;
    let held = world.owe("held", &[1]).await;
    world.owe("parked", &[1]).await;
    let retried = world.owe("retried", &[1]).await;
    let claim = world.claim(&[retried], 1).await.remove(0);
    world.record(&claim, 1, Outcome::Retry, true).await;
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
    world.pass(5);
    assert_eq!(lanes(&world.ledger.sweep(10).await.unwrap()), [retried]);
    world.pass(55);
    assert_eq!(lanes(&world.ledger.sweep(1).await.unwrap()), [held]);
}

async fn of_a_failing_origin_one_lane_is_published(world: World) {
    world
        .put_peer(
            "peer",
            Peer {
                failing_since: Some(world.now()),
                ..Peer::LIVE
            },
        )
        .await;
    world
        .insert(&[delivery("peer/one", 1), delivery("peer/two", 1)])
        .await;
    world.clock.advance(queued(2));
    let due = world.ledger.sweep(10).await.unwrap();
    assert_eq!(due.len(), 1);
    world.claim(&lanes(&due), 1).await;
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
}

async fn a_failing_origin_hides_nobody(world: World) {
    let failing = Peer {
        failing_since: Some(world.now()),
        ..Peer::LIVE
    };
    // The one is tried by a worker, the other by none; both have more lanes than a sweep looks for.
    for name in ["busy", "idle"] {
        let rows: Vec<_> = (0..20)
            .map(|number| delivery(&format!("{name}/{number}"), 1))
            .collect();
        let due = world.insert(&rows).await;
        world.put_peer(name, failing).await;
        if name == "busy" {
            world.claim(&lanes(&due), 1).await;
        }
    }
    let well = world.owe("well", &[1]).await;
    world.clock.advance(queued(20));
    let due = world.ledger.sweep(5).await.unwrap();
    let of = |name: &str| due.iter().filter(|due| due.origin == origin(name)).count();
    assert_eq!((of("busy"), of("idle"), of("well")), (0, 1, 1), "{due:?}");
    assert!(lanes(&due).contains(&well));
}

async fn a_long_queue_is_not_taken_for_lost(world: World) {
    let rows: Vec<_> = (0..5_000)
        .map(|number| delivery(&format!("peer/{number}"), 1))
        .collect();
    let due = world.insert(&rows).await;
    assert_eq!(due.len(), 5_000);
    world.clock.advance(queued(10));
    let swept = world.ledger.sweep(20).await.unwrap();
    assert_eq!(lanes(&swept), lanes(&due[..10]), "those at its front may be lost");
    world.clock.advance(queued(4_999) - queued(10));
    let last = |swept: &[Due]| swept.iter().any(|swept| *swept == due[4_999]);
    assert!(!last(&world.ledger.sweep(5_000).await.unwrap()));
    world.clock.advance(queued(5_000) - queued(4_999));
    assert!(last(&world.ledger.sweep(5_000).await.unwrap()));
}

async fn what_was_not_published_after_all_is_found_at_once(world: World) {
    let rows = ["peer/one", "peer/two", "peer/three"].map(|name| delivery(name, 1));
    let due = lanes(&world.insert(&rows).await);
    world.claim(&due[..1], 1).await;
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
    world.ledger.unqueue(&due[..2]).await.unwrap();
    assert_eq!(lanes(&world.ledger.sweep(10).await.unwrap()), due[1..2]);
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
}

async fn retry_now_makes_everything_due(world: World) {
    let lane = world.owe("peer", &[1, 2]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    world.record(&claim, 1, Outcome::Retry, true).await;
    world.owe("parked", &[3]).await;
    world.put_peer("parked", Peer::LIVE.parked(4, world.now())).await;
    let throttled = world.owe("throttled", &[5]).await;
    let claim = world.claim(&[throttled], 2).await.remove(0);
    world
        .record(
            &claim,
            5,
            Outcome::Throttled(SignedDuration::from_secs(600)),
            true,
        )
        .await;
    assert_eq!(
        world.ledger.hurry(None).await.unwrap(),
        Hurried {
            deliveries: 4,
            origins: 3
        }
    );
    assert!(world.peer("parked").await.probes(world.now()));
    let mut expected = vec![lane, throttled];
    expected.sort_unstable();
    assert_eq!(lanes(&world.ledger.sweep(10).await.unwrap()), expected);
    let due = world.claim(&[lane], 3).await.remove(0);
    assert_eq!((due.owed[0].attempts, due.owed[0].next_at), (1, world.now()));
}

async fn retry_now_of_one_origin_leaves_the_others(world: World) {
    for (number, name) in [(1, "one"), (2, "two")] {
        let lane = world.owe(name, &[1]).await;
        let claim = world.claim(&[lane], number).await.remove(0);
        world.record(&claim, 1, Outcome::Retry, true).await;
    }
    let hurried = world.ledger.hurry(Some(&origin("one"))).await.unwrap();
    assert_eq!(
        hurried,
        Hurried {
            deliveries: 1,
            origins: 1
        }
    );
    let due = world.ledger.sweep(10).await.unwrap();
    assert_eq!(
        due.iter().map(|due| due.origin.clone()).collect::<Vec<_>>(),
        [origin("one")]
    );
    assert_eq!(
        world.ledger.hurry(Some(&origin("nobody"))).await.unwrap(),
        Hurried::default()
    );
}

async fn origins_are_found_by_their_standing(world: World) {
    world.owe("parked", &[1]).await;
    world.put_peer("parked", Peer::LIVE.parked(2, world.now())).await;
    world
        .put_peer(
            "behind",
            Peer {
                standing: Standing::CatchingUp { at: 1 },
                ..Peer::LIVE
            },
        )
        .await;
    let parked = Peer::LIVE.parked(2, world.now());
    let behind = world.peer("behind").await;
    let mut unwell = world.ledger.unwell().await.unwrap();
    unwell.sort_by_key(|(origin, _)| origin.clone());
    assert_eq!(unwell, [(origin("behind"), behind), (origin("parked"), parked)]);
    assert!(!world.ledger.waits().await.unwrap());
    world.put_peer("empty", Peer::LIVE.parked(2, world.now())).await;
    assert!(world.ledger.waits().await.unwrap());
}

async fn old_delivered_rows_are_pruned_and_others_stay(world: World) {
    let lane = world.owe("peer", &[1, 2, 3]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    world.record(&claim, 1, Outcome::Delivered, false).await;
    world.record(&claim, 2, Outcome::Refused, true).await;
    let retention = SignedDuration::from_hours(24);
    assert_eq!(world.ledger.prune(retention, 10).await.unwrap(), 0);
    world.pass(24 * 3600 + 1);
    assert_eq!(world.ledger.prune(retention, 10).await.unwrap(), 1);
    assert_eq!(world.states(lane).await, [(2, "refused", 1), (3, "pending", 0)]);
}

async fn closed_audience_rows_stay_until_every_origin_is_past_them(world: World) {
    use fedsx_kernel::{
        cid::Cid,
        delivery::audience::{Change, Opening},
    };
    let cid = Cid::of_canonical(b"1");
    let follower = format!("{}/actors/bob", origin("peer"));
    let key = crate::ledger::RelationKey {
        actor: super::ALICE.to_owned(),
        follower,
        origin: origin("peer"),
    };
    let open = Some(Opening {
        follow_cid: cid.clone(),
        inbox: None,
        from_position: 1,
    });
    let mut turn = world.ledger.turn().await.unwrap();
    turn.change_audience(&[(
        key,
        Change {
            close: Some((cid, 5)),
            open,
        },
    )])
    .await
    .unwrap();
    turn.advance(9).await.unwrap();
    turn.commit().await.unwrap();
    world.put_peer("peer", Peer::LIVE.parked(3, world.now())).await;
    let members = async || {
        let mut turn = world.ledger.turn().await.unwrap();
        let query = Members {
            actor: super::ALICE,
            position: 4,
            whom: Whom::All(&[]),
            origin: None,
        };
        turn.members(query).await.unwrap().len()
    };
    world
        .ledger
        .prune(SignedDuration::from_hours(1), 10)
        .await
        .unwrap();
    assert_eq!(members().await, 1);
    world.put_peer("peer", Peer::LIVE).await;
    world
        .ledger
        .prune(SignedDuration::from_hours(1), 10)
        .await
        .unwrap();
    assert_eq!(members().await, 0);
}
