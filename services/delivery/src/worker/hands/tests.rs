use super::*;
use crate::broker::{Consumer, embedded::Embedded};

/// A queue that takes nothing more.
#[derive(Debug)]
struct Deaf(Embedded);

#[async_trait::async_trait]
impl Broker for Deaf {
    async fn publish(&self, _: &[Due]) -> Result<Vec<Due>, BrokerError> {
        Err(BrokerError("it does not answer".to_owned()))
    }

    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError> {
        self.0.consume(prefetch).await
    }

    async fn depth(&self) -> Result<u64, BrokerError> {
        self.0.depth().await
    }
}

fn due() -> Due {
    Due {
        lane: LaneId(1),
        origin: "https://peer.example".parse().unwrap(),
    }
}

/// A worker's hands that consume from this queue.
async fn hands(queue: impl Broker) -> Hands {
    let mut hands = Hands::new(Supply::new(Arc::new(queue), 4), 4, 4);
    assert!(hands.supply.next().await.unwrap().is_empty());
    hands
}

/// Runs the lane once; it has more.
async fn run(hands: &mut Hands, due: &Due) {
    let started = hands.schedule.start(Instant::now());
    assert_eq!(started, std::slice::from_ref(due));
    hands.set_out(due.clone(), Arc::new(Pulse::new()), async { true });
    let ended = hands.lanes.join_next_with_id().await.unwrap();
    hands.ended(ended);
}

/// Runs the lane to the end of its turn, and offers it to all.
async fn turn(hands: &mut Hands, due: &Due) {
    hands.schedule.offer(due.clone(), Instant::now());
    let begun = Instant::now().checked_sub(TURN).unwrap();
    hands.since.insert(due.lane, begun);
    run(hands, due).await;
    hands.share();
    assert!(hands.schedule.start(Instant::now()).is_empty(), "it waits here");
    let shared = hands.sharing.join_next().await.unwrap();
    hands.shared(shared);
}

#[tokio::test]
async fn a_lane_with_more_stays_until_its_turn_is_over_and_is_offered_to_all_then() {
    let queue = Embedded::default();
    let (mut hands, due) = (hands(queue.clone()).await, due());
    hands.schedule.offer(due.clone(), Instant::now());
    run(&mut hands, &due).await;
    hands.share();
    assert!(hands.sharing.is_empty(), "its turn has only begun");
    run(&mut hands, &due).await;

    turn(&mut hands, &due).await;
    assert_eq!(queue.depth().await.unwrap(), 1, "others may have it");
    assert!(hands.schedule.start(Instant::now()).is_empty(), "it is nobody's");
    assert!(hands.since.is_empty(), "who gets it begins another turn");
}

#[tokio::test]
async fn what_the_broker_does_not_take_stays() {
    let (mut hands, due) = (hands(Deaf(Embedded::default())).await, due());
    turn(&mut hands, &due).await;
    run(&mut hands, &due).await;
}

#[tokio::test]
async fn while_the_broker_is_away_everything_stays() {
    let queue: Arc<dyn Broker> = Arc::new(Embedded::default());
    let (mut hands, due) = (Hands::new(Supply::new(queue, 4), 4, 4), due());
    hands.over.push(due.clone());
    hands.share();
    run(&mut hands, &due).await;
}

#[tokio::test]
async fn who_ends_gives_back_what_waits_and_what_was_under_way() {
    let queue = Embedded::default();
    let (mut hands, due) = (hands(queue.clone()).await, due());
    let waits = Due {
        lane: LaneId(2),
        ..due.clone()
    };
    let now = Instant::now();
    hands.schedule.offer(due.clone(), now);
    assert_eq!(hands.schedule.start(now), std::slice::from_ref(&due));
    hands.set_out(due, Arc::new(Pulse::new()), async { true });
    hands.schedule.offer(waits, now);
    hands.give_back().await;
    assert_eq!(queue.depth().await.unwrap(), 1, "what waited");

    let ended = hands.lanes.join_next_with_id().await.unwrap();
    hands.ended(ended);
    hands.give_back().await;
    assert_eq!(
        queue.depth().await.unwrap(),
        2,
        "what was under way, and has more"
    );
}
