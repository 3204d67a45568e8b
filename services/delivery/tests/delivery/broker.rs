//! A broker that does its worst.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use fedsx_delivery::broker::{Broker, BrokerError, Consumer, Due, Message, Tag, embedded::Embedded};
use tokio::sync::watch;

use crate::{
    domain::Domain,
    process::{How, eventually},
};

/// Loses everything, or repeats and reorders it.
#[derive(Debug, Default)]
struct Careless {
    queue: Embedded,
    loses: AtomicBool,
}

#[tonic::async_trait]
impl Broker for Careless {
    async fn publish(&self, due: &[Due]) -> Result<Vec<Due>, BrokerError> {
        if self.loses.load(Ordering::Relaxed) {
            return Err(BrokerError("it is away".to_owned()));
        }
        for due in due.iter().rev().chain(due) {
            self.queue.publish(std::slice::from_ref(due)).await?;
        }
        Ok(Vec::new())
    }

    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError> {
        self.queue.consume(prefetch).await
    }

    async fn depth(&self) -> Result<u64, BrokerError> {
        self.queue.depth().await
    }
}

/// Goes away, and loses its consumers.
#[derive(Debug, Default)]
struct Fickle {
    queue: Embedded,
    away: watch::Sender<bool>,
}

/// A consumer of a broker that may go away.
#[derive(Debug)]
struct Left {
    consumer: Box<dyn Consumer>,
    away: watch::Receiver<bool>,
}

impl Fickle {
    fn is_there(&self) -> Result<(), BrokerError> {
        if *self.away.borrow() {
            return Err(BrokerError("it is away".to_owned()));
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Broker for Fickle {
    async fn publish(&self, due: &[Due]) -> Result<Vec<Due>, BrokerError> {
        self.is_there()?;
        self.queue.publish(due).await
    }

    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError> {
        self.is_there()?;
        let (consumer, away) = (self.queue.consume(prefetch).await?, self.away.subscribe());
        Ok(Box::new(Left { consumer, away }))
    }

    async fn depth(&self) -> Result<u64, BrokerError> {
        self.queue.depth().await
    }
}

#[tonic::async_trait]
impl Consumer for Left {
    async fn next(&mut self) -> Result<Vec<Message>, BrokerError> {
        tokio::select! {
            biased;
            _ = self.away.wait_for(|away| *away) => Err(BrokerError("it went away".to_owned())),
            messages = self.consumer.next() => messages,
        }
    }

    async fn ack(&mut self, tags: &[Tag]) -> Result<(), BrokerError> {
        self.consumer.ack(tags).await
    }
}

#[tokio::test]
async fn a_worker_that_lost_its_queue_waits_for_no_peer() {
    let domain = Domain::start().await;
    let (hung, well) = (domain.peer().await, domain.peer().await);
    let broker = Arc::new(Fickle::default());
    let process = domain
        .deliver_as(How {
            broker: broker.clone(),
            ..How::default()
        })
        .await;
    hung.hangs();
    let slow = domain.note(&[&hung.actor("bob")]).await;
    eventually("it is under way", async || hung.hanging() == 1).await;
    broker.away.send_replace(true);
    eventually("its consumer is gone", async || broker.away.receiver_count() == 0).await;
    broker.away.send_replace(false);
    let quick = domain.note(&[&well.actor("bob")]).await;
    eventually("the other peer has its note", async || {
        well.ids() == [quick.activity_id.clone()]
    })
    .await;
    assert_eq!(
        (hung.tried(), hung.hanging()),
        (1, 1),
        "the first is still under way"
    );
    hung.goes_on();
    process.settled(quick.position).await;
    assert_eq!(hung.ids(), [slow.activity_id]);
}

/// Has no time for what is published first.
#[derive(Debug, Default)]
struct Slow {
    queue: Embedded,
    was_asked: AtomicBool,
}

#[tonic::async_trait]
impl Broker for Slow {
    async fn publish(&self, due: &[Due]) -> Result<Vec<Due>, BrokerError> {
        if !self.was_asked.swap(true, Ordering::Relaxed) {
            return Ok(due.to_vec());
        }
        self.queue.publish(due).await
    }

    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError> {
        self.queue.consume(prefetch).await
    }

    async fn depth(&self) -> Result<u64, BrokerError> {
        self.queue.depth().await
    }
}

#[tokio::test]
async fn what_the_broker_had_no_time_for_is_swept_at_once() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let broker = Arc::new(Slow::default());
    let process = domain
        .deliver_as(How {
            broker,
            ..How::default()
        })
        .await;
    let posted = domain.note(&[&peer.actor("bob")]).await;
    // The clock stands still: no message runs out.
    process.settled(posted.position).await;
    assert_eq!(peer.ids(), [posted.activity_id]);
}

#[tokio::test]
async fn what_the_broker_loses_is_swept() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let broker = Arc::new(Careless::default());
    broker.loses.store(true, Ordering::Relaxed);
    let process = domain
        .deliver_as(How {
            broker: broker.clone(),
            ..How::default()
        })
        .await;
    let (_, accept) = domain.followed_by(&peer, "bob").await;
    let posted = domain.post().await;
    process.fanned_out(posted.position).await;
    assert_eq!(peer.tried(), 0);
    broker.loses.store(false, Ordering::Relaxed);
    domain.pass(6);
    process.settled(posted.position).await;
    assert_eq!(peer.ids(), [accept.activity_id, posted.activity_id]);
}

#[tokio::test]
async fn what_the_broker_repeats_is_sent_once() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain
        .deliver_as(How {
            broker: Arc::new(Careless::default()),
            ..How::default()
        })
        .await;
    let (_, accept) = domain.followed_by(&peer, "bob").await;
    let mut sent = vec![accept.activity_id];
    for _ in 0..20 {
        sent.push(domain.post().await.activity_id);
    }
    eventually("everything arrives", async || peer.received().len() >= sent.len()).await;
    process.settled(1).await;
    assert_eq!(peer.ids(), sent);
}
