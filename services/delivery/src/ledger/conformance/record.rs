use fedsx_kernel::delivery::{
    claim::CLAIM,
    outcome::Outcome,
    peer::Peer,
    row::{DeliveryState, MOST_OWED},
};
use jiff::SignedDuration;

use super::{World, delivery, ids, origin, token};
use crate::ledger::{Attempt, ClaimToken, Report};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    outcomes_settle_their_rows(world().await).await;
    an_outcome_of_an_expired_claim_counts_for_nothing(world().await).await;
    a_row_that_ended_meanwhile_is_not_overwritten(world().await).await;
    a_retry_is_due_after_its_wait(world().await).await;
    the_last_attempt_is_whose_claim_sent_it(world().await).await;
    an_origins_failure_holds_all_its_lanes(world().await).await;
    an_answer_lifts_the_hold_of_a_failure(world().await).await;
    a_lane_that_rests_is_not_due(world().await).await;
    many_lanes_are_recorded_together(world().await).await;
    a_lane_whose_peer_takes_nothing_owes_so_many_at_most(world().await).await;
}

fn attempt(world: &World, position: u64, outcome: Outcome) -> Attempt {
    Attempt {
        position,
        outcome,
        at: world.now(),
        actor: None,
        status: 418,
        cause: "a cause".to_owned(),
        jitter: 0.0,
    }
}

async fn outcomes_settle_their_rows(world: World) {
    let lane = world.owe("peer", &[1, 2, 3]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    let attempts = vec![
        attempt(&world, 1, Outcome::Delivered),
        attempt(&world, 2, Outcome::Refused),
    ];
    let verdicts = world.report(&claim, attempts, false).await;
    assert!(verdicts.reports[0].mine && !verdicts.reports[0].due);
    assert_eq!(
        world.states(lane).await,
        [(1, "delivered", 1), (2, "refused", 1), (3, "pending", 0)]
    );
    assert!(world.claim(&[lane], 2).await.is_empty());
    let verdicts = world.report(&claim, Vec::new(), true).await;
    assert!(verdicts.reports[0].due);
    let all = world.all().await;
    let refused = all.iter().find(|row| row.position == 2).unwrap();
    assert_eq!(
        (refused.status, refused.cause.as_str(), refused.next_at),
        (418, "a cause", None)
    );
    assert_eq!(world.peer("peer").await.alive_at, Some(world.now()));
}

async fn an_outcome_of_an_expired_claim_counts_for_nothing(world: World) {
    let lane = world.owe("peer", &[1]).await;
    let old = world.claim(&[lane], 1).await.remove(0);
    world.clock.advance(CLAIM);
    let new = world.claim(&[lane], 2).await.remove(0);
    let verdicts = world.record(&old, 1, Outcome::Delivered, true).await;
    assert!(!verdicts.reports[0].mine);
    assert_eq!(world.states(lane).await, [(1, "pending", 0)]);
    assert!(world.claim(&[lane], 3).await.is_empty(), "the newer claim stands");
    assert!(world.record(&new, 1, Outcome::Delivered, true).await.reports[0].mine);
    assert_eq!(world.states(lane).await, [(1, "delivered", 1)]);
}

async fn a_row_that_ended_meanwhile_is_not_overwritten(world: World) {
    let lane = world.owe("peer", &[1]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    let mut turn = world.ledger.turn().await.unwrap();
    turn.end_pending(&origin("peer"), 1, DeliveryState::Refused, "blocked")
        .await
        .unwrap();
    turn.commit().await.unwrap();
    assert!(world.record(&claim, 1, Outcome::Delivered, true).await.reports[0].mine);
    assert_eq!(world.states(lane).await, [(1, "refused", 0)]);
}

async fn a_retry_is_due_after_its_wait(world: World) {
    let lane = world.owe("peer", &[1, 2]).await;
    for (round, wait) in [(1, 5), (2, 30), (3, 120)] {
        let claim = world.claim(&[lane], round).await.remove(0);
        assert_eq!(claim.owed[0].attempts, u32::try_from(round - 1).unwrap());
        assert!(!world.record(&claim, 1, Outcome::Retry, true).await.reports[0].due);
        world.pass(wait - 1);
        assert!(
            world.claim(&[lane], 99).await.is_empty(),
            "its successor waits too"
        );
        world.pass(1);
    }
    assert_eq!(world.states(lane).await, [(1, "pending", 3), (2, "pending", 0)]);
}

async fn the_last_attempt_is_whose_claim_sent_it(world: World) {
    let lane = world.owe("peer", &[1, 2, 3]).await;
    let replicas = async || {
        let all = world.all().await;
        let names = all.into_iter().rev().map(|row| row.replica.unwrap_or_default());
        names.collect::<Vec<_>>()
    };
    let claim = async |owner: &str| {
        let token = ClaimToken::new(owner, 1);
        world.ledger.claim(&[lane], &token).await.unwrap().remove(0)
    };
    assert_eq!(replicas().await, ["", "", ""]);
    let one = claim("blog-delivery-1").await;
    world.record(&one, 1, Outcome::Delivered, false).await;
    world.record(&one, 2, Outcome::Retry, true).await;
    assert_eq!(replicas().await, ["blog-delivery-1", "blog-delivery-1", ""]);
    world.pass(5);
    let two = claim("blog-delivery-2").await;
    world.record(&one, 3, Outcome::Delivered, true).await;
    world.record(&two, 2, Outcome::Refused, true).await;
    assert_eq!(replicas().await, ["blog-delivery-1", "blog-delivery-2", ""]);
    // What ends or is owed again without an attempt was attempted by nobody else.
    let mut turn = world.ledger.turn().await.unwrap();
    turn.end_pending(&origin("peer"), 3, DeliveryState::Dead, "over")
        .await
        .unwrap();
    turn.commit().await.unwrap();
    world.replay(lane, &[2, 3]).await;
    assert_eq!(replicas().await, ["blog-delivery-1", "blog-delivery-2", ""]);
}

async fn an_origins_failure_holds_all_its_lanes(world: World) {
    let one = world.owe("peer/one", &[1]).await;
    let two = world.owe("peer/two", &[1]).await;
    let claim = world.claim(&[one], 1).await.remove(0);
    let verdicts = world.record(&claim, 1, Outcome::OriginFailed, true).await;
    assert!(!verdicts.reports[0].due && verdicts.park.is_empty());
    assert_eq!(world.states(one).await, [(1, "pending", 1)]);
    assert!(world.claim(&[one, two], 2).await.is_empty());
    world.pass(5);
    let claim = world.claim(&[one, two], 3).await.remove(0);
    world.pass(115);
    let verdicts = world.record(&claim, 1, Outcome::OriginFailed, true).await;
    assert_eq!(verdicts.park, [origin("peer")]);
    assert_eq!(world.ledger.to_park().await.unwrap(), [origin("peer")]);
}

async fn an_answer_lifts_the_hold_of_a_failure(world: World) {
    let one = world.owe("peer/one", &[1]).await;
    let two = world.owe("peer/two", &[1]).await;
    let claims = world.claim(&[one, two], 1).await;
    world.record(&claims[0], 1, Outcome::OriginFailed, true).await;
    world.pass(1);
    let verdicts = world.record(&claims[1], 1, Outcome::Refused, true).await;
    assert_eq!(verdicts.answered, [origin("peer")]);
    let peer = world.peer("peer").await;
    assert_eq!(
        peer,
        Peer {
            alive_at: Some(world.now()),
            ..Peer::LIVE
        }
    );
    assert_eq!(world.claim(&[one, two], 2).await.len(), 1);
}

async fn a_lane_that_rests_is_not_due(world: World) {
    let lane = world.owe("peer", &[1]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    let pause = SignedDuration::from_secs(3);
    let report = Report {
        lane,
        token: claim.token,
        attempts: Vec::new(),
        release: true,
        pause,
    };
    assert!(!world.ledger.record(&[report]).await.unwrap().reports[0].due);
    assert!(world.claim(&[lane], 2).await.is_empty());
    world.pass(3);
    assert_eq!(ids(&world.claim(&[lane], 2).await), [lane]);
}

async fn many_lanes_are_recorded_together(world: World) {
    let rows: Vec<_> = (0..1_000)
        .map(|number| super::delivery(&format!("peer/{number}"), 1))
        .collect();
    let lanes = super::lanes(&world.insert(&rows).await);
    world.claim(&lanes, 1).await;
    let reports: Vec<_> = lanes
        .iter()
        .map(|lane| Report {
            lane: *lane,
            token: token(1),
            attempts: vec![attempt(&world, 1, Outcome::Delivered)],
            release: true,
            pause: SignedDuration::ZERO,
        })
        .collect();
    let verdicts = world.ledger.record(&reports).await.unwrap();
    assert!(
        verdicts
            .reports
            .iter()
            .all(|verdict| verdict.mine && !verdict.due)
    );
    assert_eq!(world.ledger.pending().await.unwrap(), 0);
}

async fn a_lane_whose_peer_takes_nothing_owes_so_many_at_most(world: World) {
    let most = u64::from(MOST_OWED);
    let lane = world.owe("peer", &[1, 2, 3]).await;
    let rows: Vec<_> = (4..=most + 3)
        .map(|position| delivery("peer", position))
        .collect();
    for rows in rows.chunks(1_000) {
        world.insert(rows).await;
    }
    let dead = async || {
        let states = world.states(lane).await;
        let dead = states.into_iter().filter(|(_, state, _)| *state == "dead");
        dead.map(|(position, ..)| position).collect::<Vec<_>>()
    };
    let hold = Outcome::Throttled(SignedDuration::from_secs(60));
    for (number, outcome, expected) in [
        // It may be away: then it is parked, and owed no more.
        (1, Outcome::OriginFailed, vec![]),
        (2, hold, vec![1, 2, 3]),
        (3, Outcome::Retry, vec![1, 2, 3]),
    ] {
        let claim = world.claim(&[lane], number).await.remove(0);
        world.record(&claim, claim.owed[0].position, outcome, true).await;
        assert_eq!(dead().await, expected, "{outcome:?}");
        world.pass(60);
    }
    world.insert(&[delivery("peer", most + 4)]).await;
    let claim = world.claim(&[lane], 4).await.remove(0);
    assert_eq!(claim.owed[0].position, 4);
    world.record(&claim, 4, Outcome::Retry, true).await;
    assert_eq!(dead().await, [1, 2, 3, 4]);
    world.pass(60);
    let again = world.claim(&[lane], 5).await.remove(0);
    assert_eq!((again.owed[0].position, again.owed[0].attempts), (5, 0));
}
