use fedsx_kernel::delivery::{claim::CLAIM, outcome::Outcome, peer::Peer};
use jiff::SignedDuration;

use super::{World, delivery, ids, positions, token};
use crate::{lane::LaneId, ledger::claim::PAGE};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    a_claim_excludes_others_until_it_expires(world().await).await;
    what_is_not_claimable_is_left_out(world().await).await;
    a_failing_origin_is_tried_by_one_lane_at_a_time(world().await).await;
    a_claim_hands_out_a_page_in_order(world().await).await;
    a_drained_lane_is_not_claimed(world().await).await;
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
