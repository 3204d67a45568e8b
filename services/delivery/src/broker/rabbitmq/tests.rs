//! What only RabbitMQ shows, beside the conformance that every broker has.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use fedsx_runtime::{Context, health::Readiness, telemetry};
use fedsx_testing::rabbitmq::Vhost;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable, LongString},
};
use tokio::time::{Instant, timeout};

use super::{RabbitMq, open, queue};
use crate::broker::{
    Broker, Consumer, Message,
    conformance::{self, due},
};

/// Long for a broker, short for a test.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Polls a condition until it holds.
pub(super) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(PATIENCE, polling).await.is_ok(), "not so in time: {what}");
}

pub(super) async fn is_ready(readiness: &Readiness) {
    eventually("the broker is there", async || readiness.lacking().is_empty()).await;
}

async fn ready(vhost: &Vhost) -> RabbitMq {
    let context = Context::default();
    let broker = open(vhost.url(), "test", &context).unwrap();
    is_ready(&context.readiness).await;
    broker
}

/// A client that is not ours.
async fn stranger(vhost: &Vhost) -> (Connection, Channel) {
    let connection = Connection::connect(vhost.url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn next(consumer: &mut Box<dyn Consumer>) -> Vec<Message> {
    timeout(PATIENCE, consumer.next())
        .await
        .expect("a message")
        .unwrap()
}

/// Consumes without acks until there are so many messages.
async fn gather(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        messages.extend(next(consumer).await);
    }
    assert_eq!(messages.len(), count);
    messages
}

fn lanes(messages: &[Message]) -> BTreeSet<i64> {
    messages.iter().map(|message| message.due.lane.0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms() {
    let vhosts = Mutex::new(Vec::new());
    conformance::run(|| async {
        let vhost = Vhost::create().await;
        let broker = open(vhost.url(), "test", &Context::default()).unwrap();
        vhosts.lock().unwrap().push(vhost);
        Arc::new(broker) as Arc<dyn Broker>
    })
    .await;
}

#[tokio::test]
async fn what_was_not_acked_comes_again_and_nothing_else() {
    let vhost = Vhost::create().await;
    let broker = ready(&vhost).await;
    broker
        .publish(&(1..=20).map(due).collect::<Vec<_>>())
        .await
        .unwrap();
    let mut consumer = broker.consume(20).await.unwrap();
    let messages = gather(&mut consumer, 20).await;
    for positions in [&[1, 0, 2, 6][..], &[9, 8], &[3, 4, 5], &[19]] {
        let tags: Vec<_> = positions.iter().map(|position| messages[*position].tag).collect();
        consumer.ack(&tags).await.unwrap();
    }
    drop(consumer);
    let mut consumer = broker.consume(20).await.unwrap();
    let again = gather(&mut consumer, 10).await;
    let acked = [0, 1, 2, 3, 4, 5, 6, 8, 9, 19].map(|position: usize| messages[position].due.lane.0);
    let kept: BTreeSet<_> = (1..=20).filter(|lane| !acked.contains(lane)).collect();
    assert_eq!(lanes(&again), kept);
    assert_eq!(broker.depth().await.unwrap(), 0);
}

#[tokio::test]
async fn a_message_is_kept_on_disk_and_carries_its_publishers_trace() {
    let quiet = telemetry::Settings {
        filter: "off".to_owned(),
        ..telemetry::Settings::default()
    };
    // Another test may have started it.
    let _telemetry = telemetry::start(&quiet);
    let vhost = Vhost::create().await;
    let broker = ready(&vhost).await;
    let span = tracing::info_span!("publisher");
    let traceparent = telemetry::traceparent(&span).unwrap();
    tracing::Instrument::instrument(broker.publish(&[due(1)]), span)
        .await
        .unwrap();
    broker.publish(&[due(2)]).await.unwrap();
    let (_connection, channel) = stranger(&vhost).await;
    let get = async || {
        let got = channel
            .basic_get(queue::NAME.into(), BasicGetOptions::default())
            .await;
        got.unwrap().expect("a message").delivery
    };
    let (traced, plain) = (get().await, get().await);
    assert_eq!(traced.properties.delivery_mode(), &Some(2));
    let header = |delivery: &Delivery| {
        let headers = delivery.properties.headers().clone().unwrap_or_default();
        headers.inner().get("traceparent").cloned()
    };
    let expected = AMQPValue::LongString(LongString::from(traceparent));
    assert_eq!((header(&traced), header(&plain)), (Some(expected), None));
}

#[tokio::test]
async fn a_queue_that_was_removed_is_declared_again() {
    let vhost = Vhost::create().await;
    let broker = ready(&vhost).await;
    let mut orphan = broker.consume(10).await.unwrap();
    let (_connection, channel) = stranger(&vhost).await;
    channel
        .queue_delete(queue::NAME.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    timeout(PATIENCE, orphan.next())
        .await
        .expect("it is told")
        .unwrap_err();
    let error = broker.depth().await.unwrap_err().to_string();
    assert!(error.contains("no queue"), "{error}");
    broker.publish(&[due(1), due(2)]).await.unwrap();
    let mut consumer = broker.consume(10).await.unwrap();
    assert_eq!(lanes(&gather(&mut consumer, 2).await), BTreeSet::from([1, 2]));
}

#[tokio::test]
async fn a_full_queue_loses_what_is_new_and_makes_nobody_wait() {
    let vhost = Vhost::create().await;
    let (_connection, channel) = stranger(&vhost).await;
    let mut small = FieldTable::default();
    for (key, text) in [("x-queue-type", "quorum"), ("x-overflow", "reject-publish")] {
        small.insert(key.into(), LongString::from(text).into());
    }
    small.insert("x-max-length".into(), 10_i64.into());
    channel
        .queue_declare(queue::NAME.into(), QueueDeclareOptions::durable(), small)
        .await
        .unwrap();
    // It is not as we would declare it, and is used nevertheless.
    let broker = ready(&vhost).await;
    broker
        .publish(&(1..=5_000).map(due).collect::<Vec<_>>())
        .await
        .unwrap();
    let depth = broker.depth().await.unwrap();
    // RabbitMQ begins to refuse a little late.
    assert!((10..5_000).contains(&depth), "{depth}");
    let mut consumer = broker.consume(1).await.unwrap();
    assert_eq!(lanes(&next(&mut consumer).await), BTreeSet::from([1]));
}

#[tokio::test]
async fn what_there_was_no_time_for_is_answered() {
    let vhost = Vhost::create().await;
    let broker = ready(&vhost).await;
    let all: Vec<_> = (1..=300_000).map(due).collect();
    let publish = async |seconds| {
        let soon = Instant::now() + Duration::from_secs(seconds);
        let used = broker.publishing.now(&broker.users, soon).await.unwrap();
        broker.publisher.publish(&used.session, &all, soon).await.unwrap()
    };
    let mut left = publish(1).await;
    // A busy machine had no time at all.
    if left.len() == all.len() {
        left = publish(5).await;
    }
    assert!(!left.is_empty() && left.len() < all.len(), "{}", left.len());
    assert_eq!(left, all[all.len() - left.len()..]);
}

#[tokio::test]
async fn a_message_that_is_no_lane_is_dropped() {
    let vhost = Vhost::create().await;
    let broker = ready(&vhost).await;
    let (_connection, channel) = stranger(&vhost).await;
    for body in [&b"{}"[..], b""] {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel
            .basic_publish("".into(), queue::NAME.into(), options, body, properties)
            .await
            .unwrap();
    }
    eventually("they are queued", async || broker.depth().await == Ok(2)).await;
    broker.publish(&[due(1)]).await.unwrap();
    let mut consumer = broker.consume(1).await.unwrap();
    assert_eq!(lanes(&next(&mut consumer).await), BTreeSet::from([1]));
    drop(consumer);
    eventually("only the lane comes again", async || {
        broker.depth().await == Ok(1)
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_named_without_the_password() {
    let vhost = Vhost::create().await;
    let name = vhost.url().rsplit('/').next().unwrap();
    let absent = vhost.url().replace(name, "absent");
    let stranger = vhost.url().replace("guest:guest", "guest:s3cret");
    for (url, named) in [(&absent, "absent"), (&stranger, "ACCESS_REFUSED")] {
        let context = Context::default();
        let broker = open(url, "test", &context).unwrap();
        eventually("it is named", async || {
            let lacking = context.readiness.lacking();
            lacking.get("broker").is_some_and(|why| why.contains(named))
        })
        .await;
        let error = broker.publish(&[due(1)]).await.unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
        let shown = format!("{error} {broker:?} {:?}", context.readiness.lacking());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[tokio::test]
async fn at_shutdown_what_is_held_can_still_be_acked() {
    let vhost = Vhost::create().await;
    let context = Context::default();
    let broker = open(vhost.url(), "test", &context).unwrap();
    broker.publish(&[due(1), due(2)]).await.unwrap();
    let mut consumer = broker.consume(10).await.unwrap();
    let messages = gather(&mut consumer, 2).await;
    context.shutdown.begin();
    consumer.ack(&[messages[0].tag]).await.unwrap();
    drop(consumer);
    assert!(context.shutdown.finish(PATIENCE).await);
    broker.publish(&[due(3)]).await.unwrap_err();
    let mut consumer = ready(&vhost).await.consume(10).await.unwrap();
    assert_eq!(next(&mut consumer).await[0].due, messages[1].due);
}
