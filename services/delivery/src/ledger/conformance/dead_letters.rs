use fedsx_kernel::delivery::{outcome::Outcome, peer::Peer, row::DeliveryState};

use super::{World, delivery, ids, lanes, origin, positions};
use crate::{
    lane::LaneId,
    ledger::{DeliveryKey, Filter, Probe, Recorded, Replayed, query::DEAD_LETTERS},
};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    what_is_sent_again_leaves_its_lane(world().await).await;
    a_replay_lane_keeps_no_order(world().await).await;
    a_replay_lane_is_due_when_the_first_of_its_rows_is(world().await).await;
    what_dies_again_is_sent_again_where_it_is(world().await).await;
    what_is_owed_or_delivered_is_not_sent_again(world().await).await;
    nothing_is_sent_again_to_a_blocked_peer(world().await).await;
    a_block_ends_what_was_sent_again(world().await).await;
    a_parked_peer_may_be_probed_by_what_was_sent_again(world().await).await;
    a_replay_while_its_lane_is_claimed_is_seen_at_the_release(world().await).await;
    what_is_sent_again_is_no_backlog(world().await).await;
    dead_letters_are_dropped_and_nothing_else(world().await).await;
}

fn key(lane: LaneId, position: u64) -> DeliveryKey {
    DeliveryKey { lane, position }
}

impl World {
    /// A lane whose deliveries at these positions are dead letters.
    pub(super) async fn refused(&self, peer: &str, positions: &[u64]) -> LaneId {
        let lane = self.owe(peer, positions).await;
        let claim = self.claim(&[lane], 999).await.remove(0);
        for position in positions {
            self.record(&claim, *position, Outcome::Refused, false).await;
        }
        self.report(&claim, Vec::new(), true).await;
        lane
    }

    pub(super) async fn replay(&self, lane: LaneId, positions: &[u64]) -> Replayed {
        let keys: Vec<_> = positions.iter().map(|position| key(lane, *position)).collect();
        self.ledger.replay(&keys).await.unwrap()
    }

    async fn dead_letters(&self) -> Vec<Recorded> {
        let filter = Filter {
            states: DEAD_LETTERS.to_vec(),
            ..Filter::default()
        };
        self.ledger.list(&filter, None, 1_000).await.unwrap()
    }

    /// The only replay lane.
    pub(super) async fn replay_lane(&self) -> LaneId {
        let mut lanes: Vec<_> = self
            .all()
            .await
            .into_iter()
            .filter(|row| row.lane.replay)
            .collect();
        lanes.dedup_by_key(|row| row.lane.id);
        assert_eq!(lanes.len(), 1);
        lanes[0].lane.id
    }
}

fn replayed(replayed: u64) -> Replayed {
    Replayed { replayed, blocked: 0 }
}

async fn what_is_sent_again_leaves_its_lane(world: World) {
    let lane = world.refused("peer", &[1, 2]).await;
    world.insert(&[delivery("peer", 3)]).await;
    assert_eq!(world.replay(lane, &[2]).await, replayed(1));
    let again = world.replay_lane().await;
    assert_ne!(again, lane);
    assert_eq!(world.states(lane).await, [(1, "refused", 1), (3, "pending", 0)]);
    assert_eq!(world.states(again).await, [(2, "pending", 1)]);
    let mut due = lanes(&world.ledger.sweep(10).await.unwrap());
    assert_eq!(due, [again], "the lane itself is queued already");
    due.push(lane);
    let mut claims = world.claim(&due, 1).await;
    claims.sort_by_key(|claim| claim.lane.replay);
    assert_eq!(claims.len(), 2, "each has its own claim");
    assert_eq!((positions(&claims[0]), positions(&claims[1])), (vec![3], vec![2]));
    assert_eq!(claims[1].owed[0].attempts, 0, "from the first rung");
    assert_eq!(
        (
            &claims[1].lane.actor,
            &claims[1].lane.address,
            claims[1].lane.kind
        ),
        (
            &claims[0].lane.actor,
            &claims[0].lane.address,
            claims[0].lane.kind
        )
    );
    world.record(&claims[1], 2, Outcome::Delivered, true).await;
    assert_eq!(
        world.states(again).await,
        [(2, "delivered", 2)],
        "all attempts are told"
    );
    // What the log owes next goes through the lane itself.
    world.insert(&[delivery("peer", 4)]).await;
    assert_eq!(world.states(lane).await.len(), 3);
}

async fn a_replay_lane_keeps_no_order(world: World) {
    let lane = world.refused("peer", &[1, 2, 3]).await;
    world.replay(lane, &[1, 2, 3]).await;
    let again = world.replay_lane().await;
    let claim = world.claim(&[again], 1).await.remove(0);
    assert_eq!(positions(&claim), [1, 2, 3]);
    world.record(&claim, 1, Outcome::Retry, false).await;
    world.record(&claim, 2, Outcome::Delivered, false).await;
    assert!(
        world.report(&claim, Vec::new(), true).await.reports[0].due,
        "the third is"
    );
    let claim = world.claim(&[again], 2).await.remove(0);
    assert_eq!(positions(&claim), [3], "the first waits by itself");
    world.record(&claim, 3, Outcome::Delivered, true).await;
    world.pass(5);
    let claim = world.claim(&[again], 3).await.remove(0);
    assert_eq!((positions(&claim), claim.owed[0].attempts), (vec![1], 1));
}

async fn a_replay_lane_is_due_when_the_first_of_its_rows_is(world: World) {
    let lane = world.refused("peer", &[1, 2]).await;
    world.replay(lane, &[1]).await;
    let again = world.replay_lane().await;
    for round in 1..=3 {
        let claim = world.claim(&[again], round).await.remove(0);
        assert!(!world.record(&claim, 1, Outcome::Retry, true).await.reports[0].due);
        if round < 3 {
            world.pass(30);
        }
    }
    // Two minutes to go. What comes later does not wait so long.
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
    world.replay(lane, &[2]).await;
    assert_eq!(lanes(&world.ledger.sweep(10).await.unwrap()), [again]);
    let claim = world.claim(&[again], 4).await.remove(0);
    assert_eq!(positions(&claim), [2]);
    assert!(!world.record(&claim, 2, Outcome::Retry, true).await.reports[0].due);
    world.pass(4);
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
    world.pass(1);
    assert_eq!(lanes(&world.ledger.sweep(10).await.unwrap()), [again]);
    assert_eq!(positions(&world.claim(&[again], 5).await[0]), [2]);
}

async fn what_dies_again_is_sent_again_where_it_is(world: World) {
    let lane = world.refused("peer", &[1]).await;
    world.replay(lane, &[1]).await;
    let again = world.replay_lane().await;
    let claim = world.claim(&[again], 1).await.remove(0);
    world.record(&claim, 1, Outcome::Refused, true).await;
    assert_eq!(world.dead_letters().await.len(), 1);
    assert_eq!(
        world.replay(lane, &[1]).await,
        replayed(0),
        "it is there no longer"
    );
    assert_eq!(world.replay(again, &[1]).await, replayed(1));
    assert_eq!(ids(&world.claim(&[again], 2).await), [again]);
    assert_eq!(world.states(again).await, [(1, "pending", 2)]);
}

async fn what_is_owed_or_delivered_is_not_sent_again(world: World) {
    let lane = world.owe("peer", &[1, 2]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    world.record(&claim, 1, Outcome::Delivered, true).await;
    assert_eq!(world.replay(lane, &[1, 2, 3]).await, replayed(0));
    assert_eq!(world.states(lane).await, [(1, "delivered", 1), (2, "pending", 0)]);
    assert_eq!(world.ledger.replay(&[]).await.unwrap(), replayed(0));
}

async fn nothing_is_sent_again_to_a_blocked_peer(world: World) {
    let blocked = world.refused("blocked", &[1, 2]).await;
    let well = world.refused("well", &[1]).await;
    let mut turn = world.ledger.turn().await.unwrap();
    turn.block(&origin("blocked"), 5).await.unwrap();
    turn.commit().await.unwrap();
    let keys = [key(blocked, 1), key(blocked, 2), key(well, 1)];
    let answer = world.ledger.replay(&keys).await.unwrap();
    assert_eq!((answer.replayed, answer.blocked), (1, 2));
    assert_eq!(
        world.states(blocked).await,
        [(1, "refused", 1), (2, "refused", 1)]
    );
    let mut turn = world.ledger.turn().await.unwrap();
    turn.unblock(&origin("blocked"), 6).await.unwrap();
    turn.commit().await.unwrap();
    assert_eq!(world.replay(blocked, &[1, 2]).await, replayed(2));
}

async fn a_block_ends_what_was_sent_again(world: World) {
    let lane = world.refused("peer", &[1]).await;
    world.replay(lane, &[1]).await;
    let again = world.replay_lane().await;
    let mut turn = world.ledger.turn().await.unwrap();
    turn.end_pending(&origin("peer"), 9, DeliveryState::Refused, "blocked")
        .await
        .unwrap();
    turn.commit().await.unwrap();
    assert_eq!(world.states(again).await, [(1, "refused", 1)]);
    assert!(world.claim(&[again], 1).await.is_empty());
    assert_eq!(world.ledger.sweep(10).await.unwrap(), []);
}

async fn a_parked_peer_may_be_probed_by_what_was_sent_again(world: World) {
    let lane = world.refused("peer", &[1]).await;
    world.put_peer("peer", Peer::LIVE.parked(1, world.now())).await;
    world.replay(lane, &[1]).await;
    let again = world.replay_lane().await;
    assert!(world.claim(&[again], 1).await.is_empty(), "it is parked");
    assert!(!world.ledger.waits().await.unwrap());
    world.pass(60);
    let (peer, token) = (origin("peer"), super::token(2));
    let claim = world.ledger.claim_probe(&peer, Probe::Due, &token).await;
    let claim = claim.unwrap().unwrap();
    assert_eq!((claim.lane.id, positions(&claim)), (again, vec![1]));
    world.record(&claim, 1, Outcome::Delivered, true).await;
    assert!(
        world.ledger.waits().await.unwrap(),
        "for fan-out to end its parking"
    );
}

async fn a_replay_while_its_lane_is_claimed_is_seen_at_the_release(world: World) {
    let lane = world.refused("peer", &[1, 2]).await;
    world.replay(lane, &[1]).await;
    let again = world.replay_lane().await;
    let claim = world.claim(&[again], 1).await.remove(0);
    world.replay(lane, &[2]).await;
    assert!(world.claim(&[again], 2).await.is_empty());
    let verdicts = world.record(&claim, 1, Outcome::Retry, true).await;
    assert!(verdicts.reports[0].due);
    assert_eq!(positions(&world.claim(&[again], 3).await[0]), [2]);
}

async fn what_is_sent_again_is_no_backlog(world: World) {
    let lane = world.refused("peer", &[1, 2, 3]).await;
    world.insert(&[delivery("peer", 4)]).await;
    world.replay(lane, &[1, 2, 3]).await;
    let mut turn = world.ledger.turn().await.unwrap();
    assert_eq!(turn.backlog(&origin("peer"), 100).await.unwrap(), 1);
    drop(turn);
    let peer = world.ledger.peer(&origin("peer")).await.unwrap().unwrap();
    assert_eq!((peer.pending, peer.refused), (4, 0));
}

async fn dead_letters_are_dropped_and_nothing_else(world: World) {
    let lane = world.refused("peer", &[1, 2, 3]).await;
    world.insert(&[delivery("peer", 4)]).await;
    let keys = [key(lane, 1), key(lane, 3), key(lane, 4), key(lane, 9)];
    assert_eq!(world.ledger.forget(&keys).await.unwrap(), 2);
    assert_eq!(world.states(lane).await, [(2, "refused", 1), (4, "pending", 0)]);
    assert_eq!(world.dead_letters().await.len(), 1);
    assert_eq!(world.ledger.forget(&[]).await.unwrap(), 0);
}
