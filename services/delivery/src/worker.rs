//! The worker: takes lanes from the broker, claims them together, sends them side by side.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fedsx_runtime::clock::Clock;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{Broker, BrokerError, Consumer, Due, Message, Tag},
    lane::LaneId,
    ledger::{Claim, ClaimToken, Ledger},
    schedule::Schedule,
    send::Sender,
    watch::Stopwatch,
};

/// How long the worker waits for a broker or a ledger that is away.
const AWAY: Duration = Duration::from_millis(500);

/// A worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) owner: String,
    pub(crate) stop: CancellationToken,
    pub(crate) lanes: usize,
    pub(crate) lanes_per_origin: usize,
}

/// What a worker holds while it runs.
struct Hands {
    consumer: Box<dyn Consumer>,
    schedule: Schedule,
    /// The messages that are not acked.
    tags: HashMap<LaneId, Tag>,
    /// Lanes under way; each ends with whether it has something due.
    lanes: JoinSet<bool>,
    due: HashMap<Id, Due>,
}

type Ended = std::result::Result<(Id, bool), JoinError>;

impl Worker {
    /// Works until shutdown, consuming anew where the broker went away.
    pub(crate) async fn run(self) {
        while !self.stop.is_cancelled() {
            if let Err(error) = self.consume().await {
                tracing::warn!(%error, "the worker has no queue; the sweeper will find what is due");
                tokio::select! {
                    () = tokio::time::sleep(AWAY) => {}
                    () = self.stop.cancelled() => {}
                }
            }
        }
    }

    async fn consume(&self) -> Result<(), BrokerError> {
        let prefetch = u16::try_from(self.lanes).unwrap_or(u16::MAX);
        let mut hands = Hands {
            consumer: self.broker.consume(prefetch).await?,
            schedule: Schedule::new(self.lanes, self.lanes_per_origin),
            tags: HashMap::new(),
            lanes: JoinSet::new(),
            due: HashMap::new(),
        };
        let ended = self.work(&mut hands).await;
        // What is under way ends by itself, and within its claims. A broker that went away takes no acks.
        while let Some(done) = hands.lanes.join_next_with_id().await {
            if ended.is_ok() {
                hands.ended(done).await?;
            }
        }
        ended
    }

    async fn work(&self, hands: &mut Hands) -> Result<(), BrokerError> {
        while !self.stop.is_cancelled() {
            tokio::select! {
                messages = hands.consumer.next(), if !hands.schedule.is_full() => hands.take(messages?).await?,
                Some(done) = hands.lanes.join_next_with_id() => hands.ended(done).await?,
                () = self.stop.cancelled() => return Ok(()),
            }
            while let Some(done) = hands.lanes.try_join_next_with_id() {
                hands.ended(done).await?;
            }
            self.start(hands).await?;
            hands.let_go().await?;
        }
        Ok(())
    }

    /// Claims whatever there are places for, in one statement, and sets out.
    async fn start(&self, hands: &mut Hands) -> Result<(), BrokerError> {
        let started = hands.schedule.start();
        if started.is_empty() {
            return Ok(());
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
        for due in started {
            match claims.remove(&due.lane) {
                Some(claim) => {
                    let (sender, watch) = (self.sender.clone(), watch.clone());
                    let task = hands.lanes.spawn(async move { sender.run(claim, watch).await });
                    hands.due.insert(task.id(), due);
                }
                None => hands.schedule.end(&due),
            }
        }
        Ok(())
    }
}

impl Hands {
    async fn take(&mut self, messages: Vec<Message>) -> Result<(), BrokerError> {
        let mut repeated = Vec::new();
        for message in messages {
            repeated.extend(self.tags.insert(message.due.lane, message.tag));
            self.schedule.offer(message.due);
        }
        self.consumer.ack(&repeated).await
    }

    /// Acks whatever is not under way: lanes that could not be claimed, and lanes that wait for their origin's turn, so that
    /// a slow peer fills no prefetch. Should this process die, the sweeper finds them.
    async fn let_go(&mut self) -> Result<(), BrokerError> {
        let schedule = &self.schedule;
        let gone: Vec<_> = self
            .tags
            .extract_if(|lane, _| !schedule.is_running(*lane))
            .map(|(_, tag)| tag)
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.consumer.ack(&gone).await
    }

    async fn ended(&mut self, done: Ended) -> Result<(), BrokerError> {
        let (id, more) = done.unwrap_or_else(|error| (error.id(), false));
        let Some(due) = self.due.remove(&id) else {
            return Ok(());
        };
        self.schedule.end(&due);
        let tag = self.tags.remove(&due.lane);
        if more {
            self.schedule.offer(due);
        }
        match tag {
            Some(tag) => self.consumer.ack(&[tag]).await,
            None => Ok(()),
        }
    }
}
