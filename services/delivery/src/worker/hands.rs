//! What a worker has in its hands: its share of the queue, lanes that wait for a place, and lanes under way.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{Id, JoinError, JoinSet};

use crate::{
    broker::{Broker, BrokerError, Due, Message, Tag},
    lane::LaneId,
    metrics::Metrics,
    schedule::{Schedule, pulse::Pulse},
    supply::Supply,
};

/// A lane that always has more goes back to the queue after so long: workers that have come meanwhile get their share.
const TURN: Duration = Duration::from_secs(3);

/// What a worker holds while it runs.
pub(super) struct Hands {
    pub(super) supply: Supply,
    pub(super) schedule: Schedule,
    /// The messages that are not acked: those of lanes under way, and such as have just come. A lane whose message was lost
    /// with its consumer has none.
    tags: HashMap<LaneId, Tag>,
    /// Messages that are done with.
    done: Vec<Tag>,
    /// Lanes under way; each ends with whether it has something due.
    pub(super) lanes: JoinSet<bool>,
    under_way: HashMap<Id, UnderWay>,
    /// Since when this worker has had each lane without a pause.
    since: HashMap<LaneId, Instant>,
    /// Lanes that have more and whose turn is over.
    over: Vec<Due>,
    /// Such lanes on their way to the queue; each ends with those that the broker has not taken.
    pub(super) sharing: JoinSet<Vec<Due>>,
}

struct UnderWay {
    due: Due,
    pulse: Arc<Pulse>,
}

type Ended = std::result::Result<(Id, bool), JoinError>;

impl Hands {
    pub(super) fn new(supply: Supply, lanes: usize, lanes_per_origin: usize) -> Self {
        Self {
            supply,
            schedule: Schedule::new(lanes, lanes_per_origin),
            tags: HashMap::new(),
            done: Vec::new(),
            lanes: JoinSet::new(),
            under_way: HashMap::new(),
            since: HashMap::new(),
            over: Vec::new(),
            sharing: JoinSet::new(),
        }
    }

    /// Takes messages in, answering their lanes.
    pub(super) fn take(&mut self, messages: Vec<Message>) -> Vec<LaneId> {
        let now = Instant::now();
        let mut came = Vec::with_capacity(messages.len());
        for message in messages {
            came.push(message.due.lane);
            self.done.extend(self.tags.insert(message.due.lane, message.tag));
            self.schedule.offer(message.due, now);
        }
        came
    }

    /// Lets go of those that came and are not under way: that could not be claimed, or that wait for their origin's turn, so
    /// that a slow peer fills no prefetch. Should this process die, the sweeper finds them.
    pub(super) fn let_go(&mut self, came: &[LaneId]) {
        for lane in came {
            if !self.schedule.is_running(*lane) {
                self.done.extend(self.tags.remove(lane));
            }
        }
    }

    /// Sends a lane, which answers whether it has more.
    pub(super) fn set_out(
        &mut self,
        due: Due,
        pulse: Arc<Pulse>,
        lane: impl Future<Output = bool> + Send + 'static,
    ) {
        self.since.entry(due.lane).or_insert_with(Instant::now);
        let task = self.lanes.spawn(lane);
        self.under_way.insert(task.id(), UnderWay { due, pulse });
    }

    /// Somebody else has it, or there is nothing to do.
    pub(super) fn not_claimed(&mut self, due: &Due, now: Instant) {
        self.since.remove(&due.lane);
        self.schedule.end(due, now);
        self.done.extend(self.tags.remove(&due.lane));
    }

    /// A lane has ended. One that has more goes on, until its turn is over.
    pub(super) fn ended(&mut self, ended: Ended) {
        let (id, more) = ended.unwrap_or_else(|error| (error.id(), false));
        let Some(UnderWay { due, pulse }) = self.under_way.remove(&id) else {
            return;
        };
        let now = Instant::now();
        self.schedule.learn(&due.origin, pulse.take(), now);
        self.schedule.end(&due, now);
        self.done.extend(self.tags.remove(&due.lane));
        let had = self.since.get(&due.lane).map(|since| now.duration_since(*since));
        if more && had.is_some_and(|had| had < TURN) {
            self.schedule.offer(due, now);
            return;
        }
        self.since.remove(&due.lane);
        if more {
            self.over.push(due);
        }
    }

    /// Offers to all workers what this one has had for a turn, and does not wait for that. Where the broker is away it stays.
    pub(super) fn share(&mut self) {
        let over = std::mem::take(&mut self.over);
        match self.supply.broker() {
            Some(broker) if !over.is_empty() => {
                self.sharing.spawn(async move { offer(&*broker, over).await });
            }
            _ => self.stay(over),
        }
    }

    /// Lanes were offered to all. What the broker did not take stays here, behind what waits already.
    pub(super) fn shared(&mut self, shared: Result<Vec<Due>, JoinError>) {
        self.stay(shared.unwrap_or_default());
    }

    fn stay(&mut self, lanes: Vec<Due>) {
        let now = Instant::now();
        for due in lanes {
            self.schedule.offer(due, now);
        }
    }

    /// Gives others whatever waits here.
    pub(super) async fn give_back(&mut self) {
        while let Some(shared) = self.sharing.join_next().await {
            self.shared(shared);
        }
        let mut waiting = self.schedule.drain();
        waiting.append(&mut self.over);
        if waiting.is_empty() {
            return;
        }
        let left = match self.supply.broker() {
            Some(broker) => offer(&*broker, waiting).await,
            None => waiting,
        };
        if !left.is_empty() {
            tracing::debug!(lanes = left.len(), "what waited is left to the sweeper");
        }
    }

    /// Asks the lanes under way how their origins are.
    pub(super) fn look(&mut self, metrics: &Metrics) {
        let now = Instant::now();
        for UnderWay { due, pulse } in self.under_way.values() {
            self.schedule.learn(&due.origin, pulse.take(), now);
        }
        metrics.under_way(|class| self.schedule.running(class));
    }

    pub(super) async fn ack(&mut self) -> Result<(), BrokerError> {
        if self.done.is_empty() {
            return Ok(());
        }
        let done = std::mem::take(&mut self.done);
        self.supply.ack(&done).await
    }

    /// The consumer is gone, and its tags mean nothing to the next: others get the messages, and find the lanes claimed.
    pub(super) fn lose_messages(&mut self) {
        self.tags.clear();
        self.done.clear();
    }
}

/// Publishes lanes, and answers those that the broker has not taken. What it has all the same is claimed by one.
async fn offer(broker: &dyn Broker, lanes: Vec<Due>) -> Vec<Due> {
    match broker.publish(&lanes).await {
        Ok(late) => late,
        Err(error) => {
            tracing::debug!(%error, lanes = lanes.len(), "lanes are not shared");
            lanes
        }
    }
}
