use fedsx_kernel::delivery::{outcome::Outcome, row::DeliveryState};
use jiff::SignedDuration;

use super::{World, delivery, origin};
use crate::{
    lane::LaneId,
    ledger::{DeliveryKey, Ended, NewDelivery},
};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    an_awaited_end_is_told_until_it_was(world().await).await;
    whatever_ends_an_awaited_delivery_is_told(world().await).await;
    what_is_not_told_yet_is_neither_dropped_nor_pruned(world().await).await;
    what_is_sent_again_is_told_of_again(world().await).await;
}

impl World {
    /// Owes a peer these, awaited, answering their lane.
    async fn owe_awaited(&self, peer: &str, positions: &[u64]) -> LaneId {
        let rows: Vec<_> = positions
            .iter()
            .map(|position| NewDelivery {
                awaited: true,
                ..delivery(peer, *position)
            })
            .collect();
        self.insert(&rows).await;
        self.owe(peer, &[]).await
    }

    async fn untold(&self) -> Vec<Ended> {
        self.ledger.untold(100).await.unwrap()
    }

    async fn untold_positions(&self) -> Vec<u64> {
        let untold = self.untold().await;
        untold.iter().map(|ended| ended.key.position).collect()
    }

    async fn end(&self, through: u64, state: DeliveryState) {
        let mut turn = self.ledger.turn().await.unwrap();
        turn.end_pending(&origin("peer"), through, state, "over")
            .await
            .unwrap();
        turn.commit().await.unwrap();
    }
}

async fn an_awaited_end_is_told_until_it_was(world: World) {
    let lane = world.owe_awaited("peer", &[1, 3]).await;
    world.owe("peer", &[2]).await;
    assert_eq!(world.untold().await, []);
    let claim = world.claim(&[lane], 1).await.remove(0);
    world.record(&claim, 1, Outcome::Delivered, false).await;
    world.record(&claim, 2, Outcome::Delivered, false).await;
    world.record(&claim, 3, Outcome::Refused, true).await;
    let untold = world.untold().await;
    let first = Ended {
        key: DeliveryKey { lane, position: 1 },
        state: DeliveryState::Delivered,
        status: 599,
        cause: "a cause".to_owned(),
        at: world.now(),
        trace: delivery("peer", 1).trace,
    };
    assert_eq!(untold[0], first);
    assert_eq!(
        (untold[1].key.position, untold[1].state),
        (3, DeliveryState::Refused)
    );
    assert_eq!(
        (untold.len(), world.ledger.untold(1).await.unwrap().len()),
        (2, 1)
    );
    world.ledger.told(&untold[..1]).await.unwrap();
    assert_eq!(world.untold().await, untold[1..]);
    world.ledger.told(&untold).await.unwrap();
    assert_eq!(world.untold().await, []);
}

async fn whatever_ends_an_awaited_delivery_is_told(world: World) {
    world.owe_awaited("peer", &[1, 2, 3]).await;
    world.end(1, DeliveryState::Dead).await;
    world.end(2, DeliveryState::Refused).await;
    let states: Vec<_> = world
        .untold()
        .await
        .iter()
        .map(|ended| (ended.key.position, ended.state, ended.cause.clone()))
        .collect();
    let over = |position, state| (position, state, "over".to_owned());
    assert_eq!(
        states,
        [over(1, DeliveryState::Dead), over(2, DeliveryState::Refused)]
    );
}

async fn what_is_not_told_yet_is_neither_dropped_nor_pruned(world: World) {
    let lane = world.owe_awaited("peer", &[1, 2]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    world.record(&claim, 1, Outcome::Delivered, false).await;
    world.record(&claim, 2, Outcome::Refused, true).await;
    world.pass(10);
    let refused = [DeliveryKey { lane, position: 2 }];
    let age = SignedDuration::from_secs(1);
    assert_eq!(world.ledger.forget(&refused).await.unwrap(), 0);
    assert_eq!(world.ledger.prune(age, 10).await.unwrap(), 0);
    world.ledger.told(&world.untold().await).await.unwrap();
    assert_eq!(world.ledger.forget(&refused).await.unwrap(), 1);
    assert_eq!(world.ledger.prune(age, 10).await.unwrap(), 1);
}

async fn what_is_sent_again_is_told_of_again(world: World) {
    let lane = world.owe_awaited("peer", &[1, 2]).await;
    world.owe("peer", &[3]).await;
    world.end(3, DeliveryState::Refused).await;
    let first = world.untold().await;
    world.ledger.told(&first[..1]).await.unwrap();
    let keys = [1, 2, 3].map(|position| DeliveryKey { lane, position });
    assert_eq!(world.ledger.replay(&keys).await.unwrap().replayed, 3);
    assert_eq!(world.untold().await, []);
    world.pass(1);
    world.end(3, DeliveryState::Dead).await;
    assert_eq!(world.untold_positions().await, [1, 2]);
    // Who read how they ended before has told of that alone.
    let again = world.untold().await;
    let earlier: Vec<_> = again
        .iter()
        .zip(&first)
        .map(|(again, first)| Ended {
            at: first.at,
            ..again.clone()
        })
        .collect();
    world.ledger.told(&earlier).await.unwrap();
    assert_eq!(world.untold_positions().await, [1, 2]);
    world.ledger.told(&again).await.unwrap();
    assert_eq!(world.untold().await, []);
}
