//! RabbitMQ, by AMQP 0-9-1: one durable quorum queue of lanes in the domain's vhost. Works with 3.10 and later, and with 4.
//!
//! It may restart, come back empty, freeze or be out of reach at any time, the start included; nothing here fails for
//! good. Two connections, since RabbitMQ stops reading from one that publishes when it is short of memory or disk: one to
//! publish, one to consume and to ask. Each is a [`link`], which keeps a [`session`], whose socket is [`dial`]led; at every
//! connection the [`queue`] is declared anew. Enter by [`open`].

mod address;
mod consumer;
mod dial;
mod health;
mod link;
mod message;
mod pace;
mod publisher;
mod queue;
mod session;

#[cfg(test)]
mod outages;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use fedsx_runtime::Context;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{Broker, BrokerError, Consumer, Due};
use consumer::Share;
use health::Health;
use link::{Link, Shared};
use publisher::{PATIENCE, Publisher};
use session::Turns;

pub use address::AddressError;

/// How long a consumer waits for a broker that is away, and then for its answers.
const AWAIT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// The RabbitMQ broker.
#[derive(Debug)]
pub struct RabbitMq {
    publishing: Link,
    consuming: Link,
    publisher: Publisher,
    users: TaskTracker,
}

/// Opens the broker at `amqp://user:password@host:port/vhost`, or `amqps://` for TLS with the system's certificates. Answers
/// before it has connected: until then, and whenever it is away, readiness lacks `broker` and says why, be it a vhost that
/// is missing or a password that is wrong; it is tried again and again. RabbitMQ shows the connections under `name`. Its
/// tasks end with `context.shutdown` when every consumer is dropped, or when this is dropped.
///
/// # Errors
/// [`AddressError`] where the URL is none. It does not show the password.
pub fn open(url: &str, name: &str, context: &Context) -> Result<RabbitMq, AddressError> {
    let (publishing, consuming) = ("publish", "consume");
    let shared = Shared {
        address: url.parse()?,
        health: Health::starting(context.readiness.clone(), &[publishing, consuming]),
        users: TaskTracker::new(),
        turns: Turns::default(),
        shutdown: context.shutdown.clone(),
    };
    Ok(RabbitMq {
        publishing: Link::start(&shared, publishing, format!("{name} {publishing}")),
        consuming: Link::start(&shared, consuming, format!("{name} {consuming}")),
        publisher: Publisher::default(),
        users: shared.users,
    })
}

#[async_trait]
impl Broker for RabbitMq {
    /// Takes two seconds at most; no time at all while the broker is known to be away, or to be short of memory or disk.
    async fn publish(&self, due: &[Due]) -> Result<Vec<Due>, BrokerError> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let begun = Instant::now();
        // At the start only is there anything to wait for.
        let used = self.publishing.now(&self.users, begun + PATIENCE / 2).await?;
        self.publisher.publish(&used.session, due, begun + PATIENCE).await
    }

    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError> {
        let used = self.consuming.soon(&self.users, Instant::now() + AWAIT).await?;
        let share = Share::start(used, prefetch, Instant::now() + ANSWER).await?;
        Ok(Box::new(share))
    }

    async fn depth(&self) -> Result<u64, BrokerError> {
        let deadline = Instant::now() + AWAIT;
        let used = self.consuming.now(&self.users, deadline).await?;
        Ok(queue::depth(&used.session, deadline).await?)
    }
}
