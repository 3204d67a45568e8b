//! A broker that does its worst.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use fedsx_delivery::broker::{Broker, BrokerError, Consumer, Due, embedded::Embedded};

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
    async fn publish(&self, due: &[Due]) -> Result<(), BrokerError> {
        if self.loses.load(Ordering::Relaxed) {
            return Err(BrokerError("it is away".to_owned()));
        }
        for due in due.iter().rev().chain(due) {
            self.queue.publish(std::slice::from_ref(due)).await?;
        }
        Ok(())
    }

    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError> {
        self.queue.consume(prefetch).await
    }

    async fn depth(&self) -> Result<u64, BrokerError> {
        self.queue.depth().await
    }
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
