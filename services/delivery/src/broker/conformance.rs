//! What a healthy broker does, whichever it is. That it may lose, repeat and reorder is the callers' business.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{Broker, Consumer, Due, Message};
use crate::lane::LaneId;

/// Long for a message, short for a test.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn due(lane: i64) -> Due {
    Due {
        lane: LaneId(lane),
        origin: "https://peer.example".parse().unwrap(),
    }
}

/// Runs the suite; `fresh` makes an empty broker.
pub(crate) async fn run<F, B>(fresh: F)
where
    F: Fn() -> B,
    B: Future<Output = Arc<dyn Broker>>,
{
    what_is_published_arrives(fresh().await).await;
    a_waiting_consumer_is_woken(fresh().await).await;
    consumers_share_the_queue(fresh().await).await;
    prefetch_bounds_what_is_held(fresh().await).await;
    a_dropped_consumers_messages_come_again(fresh().await).await;
    publishing_waits_for_no_consumer(fresh().await).await;
    a_cancelled_wait_takes_nothing(fresh().await).await;
}

async fn next(consumer: &mut Box<dyn Consumer>) -> Vec<Message> {
    tokio::time::timeout(PATIENCE, consumer.next())
        .await
        .expect("a message in time")
        .unwrap()
}

/// Consumes and acks until every one of these lanes was seen.
async fn until_seen(consumer: &mut Box<dyn Consumer>, mut missing: HashSet<LaneId>) {
    while !missing.is_empty() {
        let messages = next(consumer).await;
        let tags: Vec<_> = messages.iter().map(|message| message.tag).collect();
        for message in messages {
            missing.remove(&message.due.lane);
        }
        consumer.ack(&tags).await.unwrap();
    }
}

async fn what_is_published_arrives(broker: Arc<dyn Broker>) {
    let lanes: Vec<_> = (1..=500).map(due).collect();
    broker.publish(&lanes).await.unwrap();
    let mut consumer = broker.consume(50).await.unwrap();
    until_seen(&mut consumer, lanes.iter().map(|due| due.lane).collect()).await;
}

async fn a_waiting_consumer_is_woken(broker: Arc<dyn Broker>) {
    let mut consumer = broker.consume(10).await.unwrap();
    let waiting = tokio::spawn(async move { next(&mut consumer).await });
    broker.publish(&[due(7)]).await.unwrap();
    assert_eq!(waiting.await.unwrap()[0].due, due(7));
}

async fn consumers_share_the_queue(broker: Arc<dyn Broker>) {
    let lanes: Vec<_> = (1..=20).map(due).collect();
    broker.publish(&lanes).await.unwrap();
    let mut first = broker.consume(10).await.unwrap();
    let mut second = broker.consume(10).await.unwrap();
    let mut seen = HashSet::new();
    // Nothing is acked: what one holds the other does not get.
    while seen.len() < 20 {
        let messages = tokio::select! {
            messages = first.next() => messages.unwrap(),
            messages = second.next() => messages.unwrap(),
            () = tokio::time::sleep(PATIENCE) => panic!("only {} of 20", seen.len()),
        };
        for message in messages {
            assert!(seen.insert(message.due.lane), "{:?} came twice", message.due.lane);
        }
    }
}

async fn prefetch_bounds_what_is_held(broker: Arc<dyn Broker>) {
    broker.publish(&[due(1), due(2), due(3)]).await.unwrap();
    let mut consumer = broker.consume(2).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 2 {
        held.extend(next(&mut consumer).await);
    }
    assert_eq!(held.len(), 2);
    consumer.ack(&[held[0].tag]).await.unwrap();
    assert_eq!(next(&mut consumer).await.len(), 1);
}

async fn a_dropped_consumers_messages_come_again(broker: Arc<dyn Broker>) {
    broker.publish(&[due(1), due(2)]).await.unwrap();
    let mut crashed = broker.consume(10).await.unwrap();
    next(&mut crashed).await;
    drop(crashed);
    let mut consumer = broker.consume(10).await.unwrap();
    until_seen(&mut consumer, HashSet::from([LaneId(1), LaneId(2)])).await;
}

async fn publishing_waits_for_no_consumer(broker: Arc<dyn Broker>) {
    let lanes: Vec<_> = (1..=10_000).map(due).collect();
    tokio::time::timeout(PATIENCE, broker.publish(&lanes))
        .await
        .expect("publishing returns")
        .unwrap();
    assert!(broker.depth().await.unwrap() > 0);
}

async fn a_cancelled_wait_takes_nothing(broker: Arc<dyn Broker>) {
    let mut consumer = broker.consume(10).await.unwrap();
    {
        let mut waiting = consumer.next();
        assert!(futures::poll!(&mut waiting).is_pending());
    }
    broker.publish(&[due(9)]).await.unwrap();
    assert_eq!(next(&mut consumer).await[0].due, due(9));
}
