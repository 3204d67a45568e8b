//! The queue of a domain that runs in one process: bounded, in memory, each waiting lane once.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{Broker, BrokerError, Consumer, Due, Message, Tag};
use crate::lane::LaneId;

/// Lanes that wait at most, where nothing else is asked for; some 100 bytes each.
pub const CAPACITY: usize = 1 << 17;

/// The embedded queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Embedded {
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    ready: Notify,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<Due>,
    /// A lane that waits already needs no second message.
    lanes: HashSet<LaneId>,
}

impl Waiting {
    fn push(&mut self, due: Due) {
        if self.lanes.insert(due.lane) {
            self.order.push_back(due);
        }
    }

    fn pop(&mut self) -> Option<Due> {
        let due = self.order.pop_front()?;
        self.lanes.remove(&due.lane);
        Some(due)
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Embedded {
    /// A queue that holds at most this many lanes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            queue: Arc::new(Queue {
                waiting: Mutex::default(),
                ready: Notify::new(),
                capacity,
            }),
        }
    }
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new(CAPACITY)
    }
}

#[async_trait]
impl Broker for Embedded {
    async fn publish(&self, due: &[Due]) -> Result<Vec<Due>, BrokerError> {
        let mut waiting = self.queue.lock();
        for due in due {
            if waiting.order.len() >= self.queue.capacity {
                tracing::warn!(
                    capacity = self.queue.capacity,
                    "the queue is full; the sweeper comes back to the rest"
                );
                break;
            }
            waiting.push(due.clone());
        }
        drop(waiting);
        self.queue.ready.notify_one();
        Ok(Vec::new())
    }

    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError> {
        Ok(Box::new(Share {
            queue: self.queue.clone(),
            held: BTreeMap::new(),
            next_tag: 0,
            prefetch: usize::from(prefetch.max(1)),
        }))
    }

    async fn depth(&self) -> Result<u64, BrokerError> {
        Ok(u64::try_from(self.queue.lock().order.len()).unwrap_or(u64::MAX))
    }
}

/// One consumer of the embedded queue.
#[derive(Debug)]
struct Share {
    queue: Arc<Queue>,
    held: BTreeMap<Tag, Due>,
    next_tag: u64,
    prefetch: usize,
}

impl Share {
    fn take(&mut self) -> Vec<Message> {
        let mut waiting = self.queue.lock();
        let mut taken = Vec::new();
        while self.held.len() < self.prefetch
            && let Some(due) = waiting.pop()
        {
            let tag = Tag(self.next_tag);
            self.next_tag += 1;
            self.held.insert(tag, due.clone());
            taken.push(Message { due, tag });
        }
        if !waiting.order.is_empty() {
            self.queue.ready.notify_one();
        }
        taken
    }
}

#[async_trait]
impl Consumer for Share {
    async fn next(&mut self) -> Result<Vec<Message>, BrokerError> {
        if self.held.len() >= self.prefetch {
            // Only an ack makes room, and it needs this consumer: the caller selects on both.
            std::future::pending::<()>().await;
        }
        loop {
            let taken = self.take();
            if !taken.is_empty() {
                return Ok(taken);
            }
            self.queue.clone().ready.notified().await;
        }
    }

    async fn ack(&mut self, tags: &[Tag]) -> Result<(), BrokerError> {
        for tag in tags {
            self.held.remove(tag);
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        for due in std::mem::take(&mut self.held).into_values() {
            waiting.push(due);
        }
        drop(waiting);
        self.queue.ready.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::conformance::{self, due};

    #[tokio::test]
    async fn it_conforms() {
        conformance::run(|| async { Arc::new(Embedded::default()) as Arc<dyn Broker> }).await;
    }

    #[tokio::test]
    async fn a_lane_that_waits_is_not_queued_twice() {
        let broker = Embedded::default();
        broker.publish(&[due(1), due(1)]).await.unwrap();
        broker.publish(&[due(1)]).await.unwrap();
        assert_eq!(broker.depth().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_let_go_without_waiting() {
        let broker = Embedded::new(2);
        broker.publish(&[due(1), due(2), due(3)]).await.unwrap();
        assert_eq!(broker.depth().await.unwrap(), 2);
    }
}
