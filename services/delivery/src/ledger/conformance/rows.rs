use fedsx_kernel::delivery::{
    outcome::Outcome,
    peer::{Peer, Standing},
    row::DeliveryState,
};

use super::{World, delivery, ids, lanes, origin, positions};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    a_row_makes_its_lane_and_tells_of_it_once(world().await).await;
    a_row_that_is_there_stays_as_it_is(world().await).await;
    ten_thousand_lanes_are_written_in_one_go(world().await).await;
    lanes_that_may_not_be_claimed_are_not_told_of(world().await).await;
    ended_rows_are_owed_no_more(world().await).await;
    a_backlog_is_counted_up_to_a_limit(world().await).await;
    what_waits_for_its_next_attempt_is_no_backlog(world().await).await;
    parked_origins_are_told_with_what_is_pending(world().await).await;
}

async fn a_row_makes_its_lane_and_tells_of_it_once(world: World) {
    let due = world
        .insert(&[delivery("peer", 1), delivery("peer", 2), delivery("far", 2)])
        .await;
    assert_eq!(due.len(), 2);
    assert_eq!(world.insert(&[delivery("peer", 3)]).await, []);
    let claims = world.claim(&lanes(&due), 1).await;
    let peer = claims
        .iter()
        .find(|claim| claim.lane.origin == origin("peer"))
        .unwrap();
    assert_eq!(positions(peer), [1, 2, 3]);
    assert_eq!(peer.owed[0].cid, "cid-1");
    assert_eq!(peer.owed[0].trace, delivery("peer", 1).trace);
    assert_eq!(peer.lane.address, "https://peer.example/inbox");
}

async fn a_row_that_is_there_stays_as_it_is(world: World) {
    let lane = world.owe("peer", &[1]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    world
        .record(
            &claim,
            1,
            fedsx_kernel::delivery::outcome::Outcome::Delivered,
            true,
        )
        .await;
    assert_eq!(world.insert(&[delivery("peer", 1)]).await, []);
    assert_eq!(world.states(lane).await, [(1, "delivered", 1)]);
    assert!(world.claim(&[lane], 2).await.is_empty());
}

async fn ten_thousand_lanes_are_written_in_one_go(world: World) {
    let rows: Vec<_> = (0..10_000)
        .map(|number| delivery(&format!("peer/{number}"), 1))
        .collect();
    let due = world.insert(&rows).await;
    assert_eq!(due.len(), 10_000);
    let claims = world.claim(&lanes(&due)[..500], 1).await;
    assert_eq!(claims.len(), 500);
    assert!(claims.iter().all(|claim| positions(claim) == [1]));
}

async fn lanes_that_may_not_be_claimed_are_not_told_of(world: World) {
    let until = Some(world.now() + jiff::SignedDuration::from_secs(10));
    world
        .put_peer(
            "held",
            Peer {
                hold_until: until,
                ..Peer::LIVE
            },
        )
        .await;
    world
        .put_peer(
            "failing",
            Peer {
                failing_since: Some(world.now()),
                ..Peer::LIVE
            },
        )
        .await;
    world.put_peer("parked", Peer::LIVE.parked(0, world.now())).await;
    let rows = ["held", "failing/one", "failing/two", "parked", "well"].map(|name| delivery(name, 1));
    let due = world.insert(&rows).await;
    let mut origins: Vec<_> = due.iter().map(|due| due.origin.clone()).collect();
    origins.sort();
    assert_eq!(origins, [origin("failing"), origin("well")]);
    let claimed = world.claim(&lanes(&due), 1).await;
    assert_eq!(ids(&claimed), lanes(&due));
    assert_eq!(world.insert(&[delivery("well", 2)]).await, []);
}

async fn ended_rows_are_owed_no_more(world: World) {
    let lane = world.owe("peer", &[1, 2, 3]).await;
    let other = world.owe("far", &[1]).await;
    let mut turn = world.ledger.turn().await.unwrap();
    turn.end_pending(&origin("peer"), 2, DeliveryState::Dead, "over")
        .await
        .unwrap();
    turn.commit().await.unwrap();
    assert_eq!(
        world.states(lane).await,
        [(1, "dead", 0), (2, "dead", 0), (3, "pending", 0)]
    );
    assert_eq!(world.states(other).await, [(1, "pending", 0)]);
    let claim = world.claim(&[lane], 1).await.remove(0);
    assert_eq!(positions(&claim), [3]);
    let mut turn = world.ledger.turn().await.unwrap();
    turn.end_pending(&origin("peer"), 9, DeliveryState::Refused, "blocked")
        .await
        .unwrap();
    turn.commit().await.unwrap();
    world.pass(120);
    assert!(world.claim(&[lane], 2).await.is_empty());
    assert_eq!(
        world
            .all()
            .await
            .iter()
            .find(|row| row.position == 3)
            .unwrap()
            .cause,
        "blocked"
    );
}

async fn a_backlog_is_counted_up_to_a_limit(world: World) {
    world.owe("peer", &[1, 2, 3]).await;
    world.owe("peer/other", &[1, 2, 3]).await;
    let mut turn = world.ledger.turn().await.unwrap();
    assert_eq!(turn.backlog(&origin("peer"), 100).await.unwrap(), 6);
    assert_eq!(turn.backlog(&origin("peer"), 4).await.unwrap(), 4);
    assert_eq!(turn.backlog(&origin("far"), 4).await.unwrap(), 0);
}

async fn what_waits_for_its_next_attempt_is_no_backlog(world: World) {
    let broken = world.owe("peer/broken", &[1, 2, 3]).await;
    world.owe("peer", &[1, 2]).await;
    let backlog = async || {
        let mut turn = world.ledger.turn().await.unwrap();
        turn.backlog(&origin("peer"), 100).await.unwrap()
    };
    let claim = world.claim(&[broken], 1).await.remove(0);
    assert_eq!(backlog().await, 5, "it is under way");
    world.record(&claim, 1, Outcome::Retry, true).await;
    world.insert(&[delivery("peer/broken", 4)]).await;
    assert_eq!(backlog().await, 2);
    world.pass(5);
    assert_eq!(backlog().await, 6);
}

async fn parked_origins_are_told_with_what_is_pending(world: World) {
    let now = world.now();
    world.owe("owed", &[1]).await;
    let owed = Peer {
        alive_at: Some(now),
        ..Peer::LIVE.parked(4, now)
    };
    world.put_peer("owed", owed).await;
    world.put_peer("even", Peer::LIVE.parked(4, now)).await;
    world
        .put_peer(
            "behind",
            Peer {
                standing: Standing::CatchingUp { at: 3 },
                ..Peer::LIVE
            },
        )
        .await;
    assert_eq!(world.peer("owed").await, owed);
    assert_eq!(
        world.peer("behind").await.standing,
        Standing::CatchingUp { at: 3 }
    );
    let mut turn = world.ledger.turn().await.unwrap();
    let mut parked = turn.parked().await.unwrap();
    parked.sort_by_key(|(origin, ..)| origin.clone());
    assert_eq!(
        parked,
        [
            (origin("even"), Peer::LIVE.parked(4, now), false),
            (origin("owed"), owed, true)
        ]
    );
}
