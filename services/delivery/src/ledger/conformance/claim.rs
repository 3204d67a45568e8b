use fedsx_kernel::delivery::{claim::CLAIM, outcome::Outcome, peer::Peer};
use jiff::SignedDuration;

use super::{World, delivery, ids, origin, positions, token};
use crate::{
    lane::LaneId,
    ledger::{Probe, claim::PAGE},
};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    a_claim_excludes_others_until_it_expires(world().await).await;
    what_is_not_claimable_is_left_out(world().await).await;
    a_failing_origin_is_tried_by_one_lane_at_a_time(world().await).await;
    a_claim_hands_out_a_page_in_order(world().await).await;
    a_drained_lane_is_not_claimed(world().await).await;
    a_probe_takes_the_lowest_pending_row(world().await).await;
    a_probe_does_not_wait_for_its_rows_ladder(world().await).await;
    a_probes_lane_is_claimed_like_any_other(world().await).await;
    a_probe_that_is_asked_for_waits_for_nothing_but_a_claim(world().await).await;
    an_owners_earlier_claims_are_forgotten(world().await).await;
    two_at_once_never_claim_the_same(world().await).await;
}

async fn a_claim_excludes_others_until_it_expires(world: World) {
    let lane = world.owe("peer", &[1]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    assert_eq!((claim.at, claim.until), (world.now(), world.now() + CLAIM));
    assert!(world.claim(&[lane], 2).await.is_empty());
    world.clock.advance(CLAIM);
    assert_eq!(ids(&world.claim(&[lane], 2).await), [lane]);
}

async fn what_is_not_claimable_is_left_out(world: World) {
    let held = world.owe("held", &[1]).await;
    let parked = world.owe("parked", &[1]).await;
    let well = world.owe("well", &[1]).await;
    let until = world.now() + SignedDuration::from_secs(10);
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
    let claims = world.claim(&[held, parked, well, LaneId(999)], 1).await;
    assert_eq!(ids(&claims), [well]);
    world.pass(10);
    assert_eq!(ids(&world.claim(&[held, parked], 2).await), [held]);
}

async fn a_failing_origin_is_tried_by_one_lane_at_a_time(world: World) {
    let one = world.owe("peer/one", &[1]).await;
    let two = world.owe("peer/two", &[1]).await;
    world
        .put_peer(
            "peer",
            Peer {
                failing_since: Some(world.now()),
                ..Peer::LIVE
            },
        )
        .await;
    let claims = world.claim(&[one, two], 1).await;
    assert_eq!(claims.len(), 1);
    assert!(claims[0].peer.failing_since.is_some());
    assert!(world.claim(&[one, two], 2).await.is_empty());
    world.record(&claims[0], 1, Outcome::Delivered, true).await;
    assert_eq!(world.claim(&[one, two], 3).await.len(), 1);
}

async fn a_claim_hands_out_a_page_in_order(world: World) {
    let positions_owed: Vec<u64> = (1..=u64::from(PAGE) + 5).collect();
    let lane = world.owe("peer", &positions_owed).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    assert_eq!(positions(&claim), (1..=u64::from(PAGE)).collect::<Vec<_>>());
}

async fn a_drained_lane_is_not_claimed(world: World) {
    let lane = world.owe("peer", &[1]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    let verdicts = world.record(&claim, 1, Outcome::Delivered, true).await;
    assert!(!verdicts.reports[0].due);
    assert!(world.claim(&[lane], 2).await.is_empty());
    world.insert(&[delivery("peer", 2)]).await;
    assert_eq!(positions(&world.claim(&[lane], 3).await[0]), [2]);
}

async fn a_probe_takes_the_lowest_pending_row(world: World) {
    world.owe("peer/late", &[5, 6]).await;
    let early = world.owe("peer/early", &[3, 4]).await;
    assert!(
        world
            .ledger
            .claim_probe(&origin("peer"), Probe::Due, &token(1))
            .await
            .unwrap()
            .is_none()
    );
    world.put_peer("peer", Peer::LIVE.parked(7, world.now())).await;
    assert!(
        world
            .ledger
            .claim_probe(&origin("peer"), Probe::Due, &token(1))
            .await
            .unwrap()
            .is_none()
    );
    world.pass(60);
    let claim = world
        .ledger
        .claim_probe(&origin("peer"), Probe::Due, &token(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((claim.lane.id, positions(&claim)), (early, vec![3]));
    assert!(
        world
            .ledger
            .claim_probe(&origin("peer"), Probe::Due, &token(2))
            .await
            .unwrap()
            .is_none()
    );
    world.record(&claim, 3, Outcome::OriginFailed, true).await;
    assert!(
        world
            .ledger
            .claim_probe(&origin("peer"), Probe::Due, &token(3))
            .await
            .unwrap()
            .is_none()
    );
}

async fn a_probe_does_not_wait_for_its_rows_ladder(world: World) {
    let lane = world.owe("peer", &[1]).await;
    for round in 1..=3 {
        let claim = world.claim(&[lane], round).await.remove(0);
        world.record(&claim, 1, Outcome::Retry, true).await;
        world.pass(150);
    }
    let claim = world.claim(&[lane], 4).await.remove(0);
    world.record(&claim, 1, Outcome::Retry, true).await;
    world.put_peer("peer", Peer::LIVE.parked(2, world.now())).await;
    world.pass(60);
    let probe = world
        .ledger
        .claim_probe(&origin("peer"), Probe::Due, &token(5))
        .await
        .unwrap()
        .unwrap();
    assert!(
        probe.owed[0].next_at <= world.now(),
        "the fourth rung is ten minutes"
    );
}

async fn a_probes_lane_is_claimed_like_any_other(world: World) {
    let lane = world.owe("peer", &[1]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    world.put_peer("peer", Peer::LIVE.parked(2, world.now())).await;
    world.pass(59);
    assert!(
        world
            .ledger
            .claim_probe(&origin("peer"), Probe::Due, &token(2))
            .await
            .unwrap()
            .is_none()
    );
    world.record(&claim, 1, Outcome::OriginFailed, true).await;
    world.pass(60);
    assert!(
        world
            .ledger
            .claim_probe(&origin("peer"), Probe::Due, &token(2))
            .await
            .unwrap()
            .is_some()
    );
}

async fn a_probe_that_is_asked_for_waits_for_nothing_but_a_claim(world: World) {
    let (peer, ledger) = (origin("peer"), &world.ledger);
    let asked = async |number| {
        ledger
            .claim_probe(&peer, Probe::Asked, &token(number))
            .await
            .unwrap()
    };
    assert!(asked(1).await.is_none(), "nothing is pending");
    let early = world.owe("peer/early", &[1, 2]).await;
    let late = world.owe("peer/late", &[3]).await;
    let hold_until = Some(world.now() + SignedDuration::from_secs(600));
    for peer in [
        Peer::LIVE,
        Peer {
            hold_until,
            ..Peer::LIVE
        },
        Peer {
            failing_since: Some(world.now()),
            hold_until,
            ..Peer::LIVE
        },
        Peer::LIVE.parked(3, world.now()),
    ] {
        world.put_peer("peer", peer).await;
        let claim = asked(2).await.unwrap();
        assert_eq!(
            (claim.lane.id, positions(&claim), claim.peer),
            (early, vec![1], peer)
        );
        assert!(asked(3).await.is_none(), "it is claimed");
        world
            .record(&claim, 1, Outcome::Throttled(SignedDuration::ZERO), true)
            .await;
    }
    world.put_peer("peer", Peer::LIVE).await;
    assert_eq!(ids(&world.claim(&[late], 4).await), [late]);
    world
        .put_peer(
            "peer",
            Peer {
                failing_since: Some(world.now()),
                ..Peer::LIVE
            },
        )
        .await;
    assert!(
        asked(5).await.is_none(),
        "a failing peer gets one attempt at a time"
    );
}

async fn an_owners_earlier_claims_are_forgotten(world: World) {
    let mine = world.owe("one", &[1]).await;
    let theirs = world.owe("two", &[1]).await;
    world.claim(&[mine], 1).await;
    let other = crate::ledger::ClaimToken::new("worker-2", 1);
    world.ledger.claim(&[theirs], &other).await.unwrap();
    world.ledger.forget_claims("worker").await.unwrap();
    assert_eq!(ids(&world.claim(&[mine, theirs], 2).await), [mine]);
}

async fn two_at_once_never_claim_the_same(world: World) {
    let rows: Vec<_> = (0..200)
        .map(|number| delivery(&format!("peer/{number}"), 1))
        .collect();
    let lanes = super::lanes(&world.insert(&rows).await);
    let (one, two) = (token(1), token(2));
    let (first, second) = tokio::join!(world.ledger.claim(&lanes, &one), world.ledger.claim(&lanes, &two));
    let mut claimed = ids(&first.unwrap());
    claimed.extend(ids(&second.unwrap()));
    claimed.sort_unstable();
    assert_eq!(claimed, lanes);
}
