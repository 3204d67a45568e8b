//! The worker: takes lanes from the broker, claims them together, sends them side by side.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use fedsx_runtime::clock::Clock;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{Broker, BrokerError, Due, Message, Tag},
    lane::LaneId,
    ledger::{Claim, ClaimToken, Ledger},
    metrics::Metrics,
    schedule::{Schedule, pulse::Pulse},
    send::Sender,
    supply::Supply,
    watch::Stopwatch,
};

/// How long the worker waits for a ledger that is away.
const AWAY: Duration = Duration::from_millis(500);
/// A lane that always has more goes back to the queue after so long: workers that have come meanwhile get their share.
const TURN: Duration = Duration::from_secs(3);
/// How often is looked how long lanes under way have waited for their peers.
const LOOK: Duration = Duration::from_millis(100);

/// A worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) owner: String,
    pub(crate) stop: CancellationToken,
    pub(crate) lanes: usize,
    pub(crate) lanes_per_origin: usize,
}

/// What a worker holds while it runs.
struct Hands {
    supply: Supply,
    schedule: Schedule,
    /// The messages that are not acked: those of lanes under way, and such as have just come. A lane whose message was lost
    /// with its consumer has none.
    tags: HashMap<LaneId, Tag>,
    /// Messages that are done with.
    done: Vec<Tag>,
    /// Lanes under way; each ends with whether it has something due.
    lanes: JoinSet<bool>,
    under_way: HashMap<Id, UnderWay>,
    /// Since when this worker has had each lane without a pause.
    since: HashMap<LaneId, Instant>,
    /// Lanes that have more and whose turn is over.
    over: Vec<Due>,
}

struct UnderWay {
    due: Due,
    pulse: Arc<Pulse>,
}

type Ended = std::result::Result<(Id, bool), JoinError>;

impl Worker {
    /// Works until shutdown. Where the broker goes away, what is under way and what waits goes on.
    pub(crate) async fn run(self) {
        let prefetch = u16::try_from(self.lanes).unwrap_or(u16::MAX);
        let mut hands = Hands {
            supply: Supply::new(self.broker.clone(), prefetch),
            schedule: Schedule::new(self.lanes, self.lanes_per_origin),
            tags: HashMap::new(),
            done: Vec::new(),
            lanes: JoinSet::new(),
            under_way: HashMap::new(),
            since: HashMap::new(),
            over: Vec::new(),
        };
        while !self.stop.is_cancelled() {
            if let Err(error) = self.work(&mut hands).await {
                tracing::debug!(%error, "the worker has lost its queue; it consumes anew");
                hands.lose_messages();
            }
        }
        self.hand_back(hands).await;
    }

    /// Works until shutdown, or until the consumer is lost.
    async fn work(&self, hands: &mut Hands) -> Result<(), BrokerError> {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.stop.is_cancelled() {
            let mut came = Vec::new();
            tokio::select! {
                messages = hands.supply.next(), if !(hands.supply.is_here() && hands.schedule.is_full()) => {
                    came = hands.take(messages?);
                }
                Some(ended) = hands.lanes.join_next_with_id() => hands.ended(ended),
                _ = look.tick() => hands.look(&self.metrics),
                () = self.stop.cancelled() => return Ok(()),
            }
            while let Some(ended) = hands.lanes.try_join_next_with_id() {
                hands.ended(ended);
            }
            self.share(hands).await;
            self.start(hands).await;
            hands.let_go(&came);
            hands.ack().await?;
        }
        Ok(())
    }

    /// Offers to all workers what this one has had for a turn. Where the broker is away, the lane stays here.
    async fn share(&self, hands: &mut Hands) {
        let over = std::mem::take(&mut hands.over);
        if over.is_empty() {
            return;
        }
        if let Err(error) = self.broker.publish(&over).await {
            tracing::debug!(%error, lanes = over.len(), "lanes are not shared");
            let now = Instant::now();
            over.into_iter().for_each(|due| hands.schedule.offer(due, now));
        }
    }

    /// Claims whatever there are places for, in one statement, and sets out.
    async fn start(&self, hands: &mut Hands) {
        let started = hands.schedule.start(Instant::now());
        if started.is_empty() {
            return;
        }
        let lanes: Vec<_> = started.iter().map(|due| due.lane).collect();
        let watch = Stopwatch::start(&self.clock);
        let token = ClaimToken::new(&self.owner, rand::random());
        let claims = match self.ledger.claim(&lanes, &token).await {
            Ok(claims) => claims,
            Err(error) => {
                tracing::warn!(%error, "lanes cannot be claimed");
                tokio::time::sleep(AWAY).await;
                Vec::new()
            }
        };
        let mut claims: HashMap<LaneId, Claim> =
            claims.into_iter().map(|claim| (claim.lane.id, claim)).collect();
        let now = Instant::now();
        for due in started {
            match claims.remove(&due.lane) {
                Some(claim) => self.set_out(hands, due, claim, watch.clone()),
                None => {
                    hands.since.remove(&due.lane);
                    hands.schedule.end(&due, now);
                    hands.done.extend(hands.tags.remove(&due.lane));
                }
            }
        }
    }

    fn set_out(&self, hands: &mut Hands, due: Due, claim: Claim, watch: Stopwatch) {
        hands.since.entry(due.lane).or_insert_with(Instant::now);
        let (sender, pulse) = (self.sender.clone(), Arc::new(Pulse::new()));
        let under_way = UnderWay {
            due,
            pulse: pulse.clone(),
        };
        let task = hands
            .lanes
            .spawn(async move { sender.run(claim, watch, &pulse).await.due });
        hands.under_way.insert(task.id(), under_way);
    }

    /// Gives back what waits, for others to take up; what is under way ends by itself, and within its claims. A broker that
    /// is away takes nothing, and gives others what was not acked; the rest is swept.
    async fn hand_back(&self, mut hands: Hands) {
        if hands.supply.is_here() {
            let mut waiting = hands.schedule.drain();
            waiting.append(&mut hands.over);
            if let Err(error) = self.broker.publish(&waiting).await {
                tracing::debug!(%error, lanes = waiting.len(), "what waited is left to the sweeper");
            }
        }
        while let Some(ended) = hands.lanes.join_next_with_id().await {
            hands.ended(ended);
            if let Err(error) = hands.ack().await {
                tracing::debug!(%error, "messages come again");
                hands.lose_messages();
            }
        }
    }
}

impl Hands {
    /// Takes messages in, answering their lanes.
    fn take(&mut self, messages: Vec<Message>) -> Vec<LaneId> {
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
    fn let_go(&mut self, came: &[LaneId]) {
        for lane in came {
            if !self.schedule.is_running(*lane) {
                self.done.extend(self.tags.remove(lane));
            }
        }
    }

    fn ended(&mut self, ended: Ended) {
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

    /// Asks the lanes under way how their origins are.
    fn look(&mut self, metrics: &Metrics) {
        let now = Instant::now();
        for UnderWay { due, pulse } in self.under_way.values() {
            self.schedule.learn(&due.origin, pulse.take(), now);
        }
        metrics.under_way(|class| self.schedule.running(class));
    }

    async fn ack(&mut self) -> Result<(), BrokerError> {
        if self.done.is_empty() {
            return Ok(());
        }
        let done = std::mem::take(&mut self.done);
        self.supply.ack(&done).await
    }

    /// The consumer is gone, and its tags mean nothing to the next: others get the messages, and find the lanes claimed.
    fn lose_messages(&mut self) {
        self.tags.clear();
        self.done.clear();
    }
}
