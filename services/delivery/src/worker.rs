//! The worker: takes lanes from the broker, claims them together, sends them side by side.

mod hands;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use fedsx_runtime::clock::Clock;
use tokio_util::sync::CancellationToken;

use self::hands::Hands;
use crate::{
    broker::{Broker, BrokerError, Due},
    lane::LaneId,
    ledger::{Claim, ClaimToken, Ledger},
    metrics::Metrics,
    schedule::pulse::Pulse,
    send::Sender,
    supply::Supply,
    watch::Stopwatch,
};

/// How long the worker waits for a ledger that is away.
const AWAY: Duration = Duration::from_millis(500);
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

impl Worker {
    /// Works until shutdown. Where the broker goes away, what is under way and what waits goes on.
    pub(crate) async fn run(self) {
        let prefetch = u16::try_from(self.lanes).unwrap_or(u16::MAX);
        let supply = Supply::new(self.broker.clone(), prefetch);
        let mut hands = Hands::new(supply, self.lanes, self.lanes_per_origin);
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
                Some(shared) = hands.sharing.join_next() => hands.shared(shared),
                _ = look.tick() => hands.look(&self.metrics),
                () = self.stop.cancelled() => return Ok(()),
            }
            while let Some(ended) = hands.lanes.try_join_next_with_id() {
                hands.ended(ended);
            }
            hands.share();
            self.start(hands).await;
            hands.let_go(&came);
            hands.ack().await?;
        }
        Ok(())
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
                None => hands.not_claimed(&due, now),
            }
        }
    }

    fn set_out(&self, hands: &mut Hands, due: Due, claim: Claim, watch: Stopwatch) {
        let (sender, pulse) = (self.sender.clone(), Arc::new(Pulse::new()));
        let seen = pulse.clone();
        hands.set_out(
            due,
            pulse,
            async move { sender.run(claim, watch, &seen).await.due },
        );
    }

    /// Gives others what waits at once, and what is under way when it has ended, which it does by itself and within its
    /// claims. A broker that is away takes nothing, and gives others what was not acked; the rest is swept.
    async fn hand_back(&self, mut hands: Hands) {
        hands.give_back().await;
        while let Some(ended) = hands.lanes.join_next_with_id().await {
            hands.ended(ended);
            if let Err(error) = hands.ack().await {
                tracing::debug!(%error, "messages come again");
                hands.lose_messages();
            }
        }
        hands.give_back().await;
    }
}
