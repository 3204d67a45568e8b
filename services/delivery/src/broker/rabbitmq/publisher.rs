//! Publishing in bulk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream::FuturesUnordered};
use lapin::{BasicProperties, Channel, Confirmation, options::BasicPublishOptions};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    message, queue,
    session::{Fault, SILENCE, Session},
};
use crate::broker::{BrokerError, Due};

/// How long a publisher waits at most, whatever is wrong.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Messages that wait for their confirm at the same time.
const IN_FLIGHT: usize = 1 << 10;
/// How often, and after which pause first, a queue is asked again that refuses. It refuses when it is full, but also for a
/// moment while it has no leader: when it was just declared, or RabbitMQ just started.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

const NOTHING: &str = "it confirms nothing";

/// What became of a message.
enum Fate {
    Stored,
    /// There is no queue.
    Unroutable(usize),
    Refused(usize),
}

/// What a round of messages left. The numbers are their places in it.
#[derive(Debug, Default)]
struct Round {
    stored: usize,
    unroutable: Vec<usize>,
    refused: Vec<usize>,
    /// There was no time for them.
    late: Vec<usize>,
}

/// Publishes on a session, one batch after another or several at once.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    is_full: AtomicBool,
}

impl Publisher {
    /// Publishes until the deadline. What is under way then, or does not fit, may be lost; what has not set out is answered.
    pub(super) async fn publish(
        &self,
        session: &Arc<Session>,
        due: &[Due],
        deadline: Instant,
    ) -> Result<Vec<Due>, BrokerError> {
        let (mut left, mut stored): (Vec<_>, _) = (due.iter().collect(), 0);
        for attempt in 0..TRIES {
            let round = self.round(session, &left, deadline).await?;
            stored += round.stored;
            if !round.unroutable.is_empty() {
                if attempt + 1 == TRIES {
                    return Err(Fault::Other("its queue is removed again and again").into());
                }
                tracing::warn!(queue = queue::NAME, "the queue was removed; it is declared again");
                queue::declare(session, deadline).await?;
            }
            let late = round.late.iter().filter_map(|index| left.get(*index));
            let late: Vec<Due> = late.copied().cloned().collect();
            let again = round.unroutable.iter().chain(&round.refused);
            left = again.filter_map(|index| left.get(*index).copied()).collect();
            if round.refused.is_empty() {
                self.tell_whether_full(false);
            } else if self.is_full.load(Ordering::Relaxed) {
                // No news, and nothing to wait for.
                break;
            } else {
                sleep_until(deadline.min(Instant::now() + PAUSE * 2_u32.pow(attempt))).await;
            }
            if left.is_empty() {
                return Ok(late);
            }
        }
        if stored == 0 && queue::depth(session, deadline).await? == 0 {
            session.is_in_vain("it refuses everything, though its queue is empty");
            return Err(Fault::Late.into());
        }
        self.tell_whether_full(true);
        Ok(Vec::new())
    }

    /// Sends messages and waits for the confirms. Stops sending when one is refused.
    async fn round(&self, session: &Arc<Session>, due: &[&Due], deadline: Instant) -> Result<Round, Fault> {
        session.takes_messages()?;
        let channel = session.confirming(deadline).await?;
        let properties = message::properties();
        let mut flights = FuturesUnordered::new();
        let (mut waiting, mut sent, mut round) = (due.iter().enumerate(), 0, Round::default());
        let begun = Instant::now();
        let mut late = std::pin::pin!(sleep_until(deadline));
        loop {
            let is_welcome = round.refused.is_empty();
            let room = if is_welcome { IN_FLIGHT - flights.len() } else { 0 };
            for (index, due) in waiting.by_ref().take(room) {
                sent += 1;
                flights.push(send(
                    channel.clone(),
                    index,
                    message::body(due),
                    properties.clone(),
                ));
            }
            let fate = tokio::select! {
                biased;
                fate = flights.next() => fate,
                () = &mut late => {
                    let silent = flights.len() == sent && begun.elapsed() >= SILENCE;
                    leave(session, channel, flights, silent)?;
                    let left = due.len() - round.stored;
                    tracing::warn!(left, "the broker is slow; the sweeper comes back to the rest");
                    // A queue that refuses has no room for them either.
                    let late = waiting.map(|(index, _)| index).filter(|_| is_welcome);
                    return Ok(Round {
                        late: late.collect(),
                        ..Round::default()
                    });
                }
            };
            match fate {
                None => break,
                Some(fate) => match fate? {
                    Fate::Stored => round.stored += 1,
                    Fate::Unroutable(index) => round.unroutable.push(index),
                    Fate::Refused(index) => round.refused.push(index),
                },
            }
        }
        session.rest(channel);
        round.refused.extend(waiting.map(|(index, _)| index));
        Ok(round)
    }

    fn tell_whether_full(&self, is_full: bool) {
        if self.is_full.swap(is_full, Ordering::Relaxed) != is_full {
            if is_full {
                tracing::warn!(
                    queue = queue::NAME,
                    "the queue is full; the sweeper comes back to the rest"
                );
            } else {
                tracing::info!(queue = queue::NAME, "the queue has room again");
            }
        }
    }
}

/// The deadline has come, with messages under way. A broker that was `silent` all the time is taken for away.
fn leave<F>(session: &Arc<Session>, channel: Arc<Channel>, flights: F, silent: bool) -> Result<(), Fault>
where
    F: Stream<Item = lapin::Result<Fate>> + Send + Unpin + 'static,
{
    let takes = session.takes_messages();
    if silent && takes.is_ok() {
        session.is_in_vain(NOTHING);
        return Err(Fault::Late);
    }
    tokio::spawn(land(session.clone(), channel, flights));
    takes
}

async fn send(
    channel: Arc<Channel>,
    index: usize,
    body: Vec<u8>,
    properties: BasicProperties,
) -> lapin::Result<Fate> {
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let confirm = channel
        .basic_publish("".into(), queue::NAME.into(), options, &body, properties)
        .await?;
    Ok(match confirm.await? {
        Confirmation::Ack(None) => Fate::Stored,
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Fate::Unroutable(index),
        Confirmation::Nack(None) | Confirmation::NotRequested => Fate::Refused(index),
    })
}

/// Waits for messages whose publisher is gone, so that their channel can be used again.
async fn land<F>(session: Arc<Session>, channel: Arc<Channel>, mut flights: F)
where
    F: Stream<Item = lapin::Result<Fate>> + Unpin,
{
    loop {
        match timeout(PATIENCE, flights.next()).await {
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(_))) => return,
            Ok(None) => return session.rest(channel),
            // A broker that is short of something confirms when it has it again.
            Err(_) if session.takes_messages().is_err() => {}
            Err(_) => return session.is_in_vain(NOTHING),
        }
    }
}
