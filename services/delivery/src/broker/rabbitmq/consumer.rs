//! Consuming, and acks in bulk.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, timeout},
};

use super::{
    link::Use,
    message,
    pace::{self, Pace},
    queue,
    session::Fault,
};
use crate::broker::{BrokerError, Consumer, Message, Tag};

/// How long a consumer that was dropped may take to give its messages back.
const FAREWELL: Duration = Duration::from_secs(1);

/// One consumer, on a channel of its own.
pub(super) struct Share {
    channel: Channel,
    deliveries: lapin::Consumer,
    /// What was handed out and is not acked.
    held: BTreeSet<u64>,
    pace: Arc<Pace>,
    watch: AbortHandle,
    used: Use,
    runtime: Handle,
}

impl Share {
    pub(super) async fn start(used: Use, prefetch: u16, deadline: Instant) -> Result<Self, BrokerError> {
        let (session, prefetch) = (&used.session, prefetch.max(1));
        queue::declare(session, deadline).await?;
        let channel = session.channel(deadline).await?;
        let qos = channel.basic_qos(prefetch, BasicQosOptions::default());
        session.answers(deadline, qos).await?;
        let consuming = channel.basic_consume(
            queue::NAME.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let deliveries = session.answers(deadline, consuming).await?;
        let (pace, runtime) = (Arc::<Pace>::default(), Handle::current());
        let watch = pace::watch(used.clone(), channel.clone(), pace.clone(), prefetch.into());
        Ok(Self {
            channel,
            deliveries,
            held: BTreeSet::new(),
            pace,
            watch: runtime.spawn(watch).abort_handle(),
            used,
            runtime,
        })
    }

    /// Takes a delivery in. One that is no lane is nobody's: it is acked.
    fn take(
        &mut self,
        delivery: Option<lapin::Result<Delivery>>,
        to: &mut Vec<Message>,
    ) -> Result<(), BrokerError> {
        let Some(delivery) = delivery else {
            return Err(BrokerError("the consumer was cancelled".to_owned()));
        };
        let delivery = delivery.map_err(Fault::from)?;
        let tag = delivery.delivery_tag;
        let Some(due) = message::due(&delivery.data) else {
            tracing::warn!(queue = queue::NAME, "a message that names no lane is dropped");
            return self.settle(tag, false);
        };
        self.held.insert(tag);
        to.push(Message { due, tag: Tag(tag) });
        Ok(())
    }

    /// Hands an ack to the connection, without waiting until it is written.
    fn settle(&self, tag: u64, multiple: bool) -> Result<(), BrokerError> {
        match self
            .channel
            .basic_ack(tag, BasicAckOptions { multiple })
            .now_or_never()
        {
            Some(Err(error)) => Err(Fault::from(error).into()),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

#[async_trait]
impl Consumer for Share {
    async fn next(&mut self) -> Result<Vec<Message>, BrokerError> {
        let mut messages = Vec::new();
        let pace = self.pace.clone();
        let _asking = pace.ask();
        while messages.is_empty() {
            let first = self.deliveries.next().await;
            self.take(first, &mut messages)?;
            while let Some(ready) = self.deliveries.next().now_or_never() {
                match ready {
                    Some(Ok(_)) => self.take(ready, &mut messages)?,
                    // Told by the next call, after what is taken.
                    _ => break,
                }
            }
        }
        pace.gets(self.held.len());
        Ok(messages)
    }

    async fn ack(&mut self, tags: &[Tag]) -> Result<(), BrokerError> {
        let mut acked: Vec<_> = tags
            .iter()
            .map(|tag| tag.0)
            .filter(|tag| self.held.remove(tag))
            .collect();
        acked.sort_unstable();
        self.pace.holds(self.held.len());
        // One frame acks everything that was handed out before the oldest message that stays.
        let before = self
            .held
            .first()
            .map_or(acked.len(), |oldest| acked.partition_point(|tag| tag < oldest));
        let (together, singly) = acked.split_at(before);
        if let Some(last) = together.last() {
            self.settle(*last, true)?;
        }
        singly.iter().try_for_each(|tag| self.settle(*tag, false))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.watch.abort();
        let (channel, deliveries, used) = (self.channel.clone(), self.deliveries.clone(), self.used.clone());
        // Left to themselves, cancelling the consumer and closing the channel race, and the loser ends the connection.
        self.runtime.spawn(async move {
            let _ = timeout(FAREWELL, channel.close(200, "OK".into())).await;
            drop((deliveries, used));
        });
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("channel", &self.channel.id())
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
