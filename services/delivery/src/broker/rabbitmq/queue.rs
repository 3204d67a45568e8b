//! The queue of lanes.

use std::time::Duration;

use lapin::{
    Channel, Queue,
    options::{QueueDeclareOptions, QueueDeleteOptions},
    protocol::AMQPSoftError,
    types::{FieldTable, LongString},
};
use tokio::time::{Instant, timeout_at};

use super::session::{Fault, Session};

/// Its name in the domain's vhost.
pub(super) const NAME: &str = "deliver";
/// Lanes that wait at most; some 100 bytes each, in the broker's memory and on its disk. What does not fit is refused
/// rather than put in the place of the oldest: whoever waits longest is served first, and the publisher learns that it may
/// stop.
const MAX_LENGTH: i64 = 1 << 17;
/// How often a message may come back. Its lane is found by the sweeper in any case, so no more is gained by the fourth time.
const DELIVERY_LIMIT: i64 = 3;

/// Time to declare it.
const DECLARE: Duration = Duration::from_secs(5);
/// Time to remove it: RabbitMQ waits for some seconds for a leader that does not come.
const REMOVE: Duration = Duration::from_secs(20);

/// Sees to it that there is a queue, a new one where it is wanted `anew`.
pub(super) async fn provide(session: &Session, anew: bool) -> Result<(), Fault> {
    if anew {
        remove(session, Instant::now() + REMOVE).await?;
    }
    declare(session, Instant::now() + DECLARE).await
}

/// Makes the queue where it is missing. One that somebody declared with other arguments is used as it is.
///
/// Of two that declare a quorum queue at the same time, RabbitMQ answers the second before the queue can be used: it refuses
/// messages for a moment, and whoever consumes then loses the connection. Processes that meet so try again; within one, they
/// take turns.
pub(super) async fn declare(session: &Session, deadline: Instant) -> Result<(), Fault> {
    let _turn = timeout_at(deadline, session.turns.lock())
        .await
        .map_err(|_| Fault::Late)?;
    match ask(session, QueueDeclareOptions::durable(), arguments(), deadline).await {
        Err(fault) if fault.is(&AMQPSoftError::PRECONDITIONFAILED.into()) => {
            tracing::warn!(%fault, queue = NAME, "the queue is used as it is, not as it would be made today");
            passive(session, deadline).await?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

/// Removes a queue that is of no use. What waited in it is swept.
async fn remove(session: &Session, deadline: Instant) -> Result<(), Fault> {
    tracing::warn!(
        queue = NAME,
        "the queue stores nothing; it is removed and made anew"
    );
    let channel = session.channel(deadline).await?;
    let removed = channel.queue_delete(NAME.into(), QueueDeleteOptions::default());
    session.answers(deadline, removed).await?;
    session.answers(deadline, channel.close(200, "OK".into())).await
}

/// Messages that no consumer holds.
pub(super) async fn depth(session: &Session, deadline: Instant) -> Result<u64, Fault> {
    Ok(u64::from(passive(session, deadline).await?.message_count()))
}

async fn passive(session: &Session, deadline: Instant) -> Result<Queue, Fault> {
    let passive = QueueDeclareOptions::default().passive();
    ask(session, passive, FieldTable::default(), deadline).await
}

/// Declares on a channel of its own, for the broker closes the channel of a declaration that it refuses.
async fn ask(
    session: &Session,
    options: QueueDeclareOptions,
    arguments: FieldTable,
    deadline: Instant,
) -> Result<Queue, Fault> {
    let channel: Channel = session.channel(deadline).await?;
    let declared = channel.queue_declare(NAME.into(), options, arguments);
    let queue = session.answers(deadline, declared).await?;
    session.answers(deadline, channel.close(200, "OK".into())).await?;
    Ok(queue)
}

fn arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    for (key, text) in [("x-queue-type", "quorum"), ("x-overflow", "reject-publish")] {
        arguments.insert(key.into(), LongString::from(text).into());
    }
    for (key, number) in [("x-max-length", MAX_LENGTH), ("x-delivery-limit", DELIVERY_LIMIT)] {
        arguments.insert(key.into(), number.into());
    }
    arguments
}
