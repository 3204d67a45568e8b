use fedsx_kernel::delivery::{outcome::Outcome, peer::Peer};
use jiff::SignedDuration;

use super::{World, ids, origin, positions, token};
use crate::ledger::{Probe, Report};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    a_probe_takes_the_lowest_row_of_those_that_wait_as_long(world().await).await;
    lanes_are_probed_in_turn(world().await).await;
    while_a_probe_is_under_way_none_is_due(world().await).await;
    a_probe_does_not_wait_for_its_rows_ladder(world().await).await;
    a_probes_lane_is_claimed_like_any_other(world().await).await;
    a_probe_that_is_asked_for_waits_for_nothing_but_a_claim(world().await).await;
}

async fn a_probe_takes_the_lowest_row_of_those_that_wait_as_long(world: World) {
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

async fn lanes_are_probed_in_turn(world: World) {
    let peer = origin("peer");
    let mut lanes = Vec::new();
    for (name, rows) in [("peer/one", &[1, 4]), ("peer/two", &[2, 5])] {
        lanes.push(world.owe(name, rows).await);
    }
    // Sent again, several rows of a lane are due at their own times.
    let again = world.refused("peer/three", &[3, 6]).await;
    world.replay(again, &[3, 6]).await;
    lanes.push(world.replay_lane().await);
    world.put_peer("peer", Peer::LIVE.parked(7, world.now())).await;
    let mut probed = Vec::new();
    for number in 1..=6 {
        world.pass(60);
        let claim = world.ledger.claim_probe(&peer, Probe::Due, &token(number)).await;
        let claim = claim.unwrap().unwrap();
        probed.push(claim.lane.id);
        if claim.lane.id == lanes[0] {
            // Something of this domain was missing.
            let rests = Report {
                lane: claim.lane.id,
                token: claim.token,
                attempts: Vec::new(),
                release: true,
                pause: SignedDuration::from_secs(3),
            };
            world.ledger.record(&[rests]).await.unwrap();
        } else {
            let first = positions(&claim)[0];
            world.record(&claim, first, Outcome::OriginFailed, true).await;
        }
    }
    let [one, two, three] = lanes[..] else {
        unreachable!()
    };
    assert_eq!(probed, [one, two, three, one, two, three]);
}

async fn while_a_probe_is_under_way_none_is_due(world: World) {
    world.owe("peer", &[1]).await;
    world.put_peer("peer", Peer::LIVE.parked(2, world.now())).await;
    world.pass(60);
    let claim = world
        .ledger
        .claim_probe(&origin("peer"), Probe::Due, &token(1))
        .await;
    assert!(claim.unwrap().is_some());
    world.pass(11);
    assert!(!world.peer("peer").await.probes(world.now()));
    world.pass(1);
    assert!(world.peer("peer").await.probes(world.now()));
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
