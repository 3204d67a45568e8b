//! Probing parked peers, or whichever an operator asks for, and giving up those that never came back.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fedsx_kernel::{
    delivery::{
        outcome::{Answer, Outcome, classify},
        peer::Peer,
    },
    origin::Origin,
};
use fedsx_runtime::{Context, clock::Clock};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::{
    gone::Gone,
    ledger::{ClaimToken, Ledger, Probe, Result},
    parking::Parking,
    schedule::pulse::Pulse,
    send::{Sender, Told},
    wake::Wake,
    watch::Stopwatch,
};

/// Probes under way at the same time.
const PROBES: usize = 32;
/// Every so many ticks is looked for what a crash left undone, and for peers whose follows end.
const SELDOM: u32 = 40;

/// What came of a probe that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    /// This delivery was sent; none where something of this domain was missing.
    Sent {
        cid: String,
        address: String,
        told: Option<Told>,
    },
    /// Nothing is pending; the peer's base was fetched.
    Fetched(Told),
    /// An attempt was under way already.
    Busy,
}

/// Probes peers.
#[derive(Debug)]
pub(crate) struct Probes {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) parking: Parking,
    pub(crate) gone: Gone,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) owner: String,
    places: Arc<Semaphore>,
    under_way: Mutex<HashSet<Origin>>,
}

impl Probes {
    pub(crate) fn new(
        ledger: Arc<dyn Ledger>,
        sender: Arc<Sender>,
        parking: Parking,
        gone: Gone,
        clock: Arc<dyn Clock>,
        wake: Arc<Wake>,
        owner: String,
    ) -> Arc<Self> {
        let (places, under_way) = (Arc::new(Semaphore::new(PROBES)), Mutex::default());
        Arc::new(Self {
            ledger,
            sender,
            parking,
            gone,
            clock,
            wake,
            owner,
            places,
            under_way,
        })
    }

    /// Looks every tick until shutdown.
    pub(crate) async fn run(self: Arc<Self>, tick: Duration, context: Context) {
        let stop = context.shutdown.token();
        let mut seldom: Option<Instant> = None;
        while !stop.is_cancelled() {
            if let Err(error) = self.start_due(&context).await {
                tracing::warn!(%error, "parked peers are not probed");
            }
            if seldom.is_none_or(|last| last.elapsed() >= tick * SELDOM) {
                seldom = Some(Instant::now());
                if let Err(error) = self.look_after().await {
                    tracing::warn!(%error, "parked peers are not looked after");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(tick) => {}
                () = self.wake.parking.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Starts the probes that are due and not under way.
    async fn start_due(self: &Arc<Self>, context: &Context) -> Result<()> {
        for origin in due(self.ledger.unwell().await?, self.clock.now()) {
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                break;
            };
            if !self.lock().insert(origin.clone()) {
                continue;
            }
            let probes = self.clone();
            context.shutdown.spawn(async move {
                if let Err(error) = probes.probe(&origin).await {
                    tracing::warn!(%origin, %error, "the peer is not probed");
                }
                probes.lock().remove(&origin);
                drop(place);
            });
        }
        Ok(())
    }

    async fn probe(&self, origin: &Origin) -> Result<()> {
        let watch = Stopwatch::start(&self.clock);
        let token = ClaimToken::new(&self.owner, rand::random());
        if let Some(claim) = self.ledger.claim_probe(origin, Probe::Due, &token).await? {
            self.sender.run(claim, watch, &Pulse::new()).await;
        }
        Ok(())
    }

    /// Tries a peer now, whatever its standing.
    pub(crate) async fn ask(&self, origin: &Origin) -> Result<Asked> {
        let watch = Stopwatch::start(&self.clock);
        let token = ClaimToken::new(&self.owner, rand::random());
        if let Some(claim) = self.ledger.claim_probe(origin, Probe::Asked, &token).await? {
            let cid = claim.owed.first().map(|owed| owed.cid.clone());
            let address = claim.lane.address.clone();
            let told = self.sender.run(claim, watch, &Pulse::new()).await.last;
            return Ok(Asked::Sent {
                cid: cid.unwrap_or_default(),
                address,
                told,
            });
        }
        if self
            .ledger
            .peer(origin)
            .await?
            .is_some_and(|peer| peer.pending > 0)
        {
            return Ok(Asked::Busy);
        }
        let (answer, cause) = self.sender.attempts.wellness.base(origin).await;
        let status = match answer {
            Some(Answer::Status { status, .. }) => status,
            Some(Answer::Nothing) | None => 0,
        };
        let outcome = answer.map_or(Outcome::Refused, classify);
        Ok(Asked::Fetched(Told {
            outcome,
            status,
            cause,
        }))
    }

    async fn look_after(&self) -> Result<()> {
        for origin in self.ledger.to_park().await? {
            self.parking.park(&origin).await;
        }
        if self.wake.leads() {
            let now = self.clock.now();
            for (origin, _) in self
                .ledger
                .unwell()
                .await?
                .into_iter()
                .filter(|(_, peer)| peer.is_gone(now))
            {
                self.gone.origin(&origin).await;
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Origin>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The origins whose probes are due, those first that have waited longest: there may be more than places.
fn due(unwell: Vec<(Origin, Peer)>, now: Timestamp) -> Vec<Origin> {
    let due = unwell.into_iter().filter(|(_, peer)| peer.probes(now));
    let mut due: Vec<_> = due
        .map(|(origin, peer)| (peer.standing.next_probe(), origin))
        .collect();
    due.sort_unstable();
    due.into_iter().map(|(_, origin)| origin).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn who_has_waited_longest_is_probed_first() {
        let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let origin = |name: &str| format!("https://{name}.example").parse::<Origin>().unwrap();
        let parked = |name: &str, since| (origin(name), Peer::LIVE.parked(1, at(since)));
        let mut unwell = vec![parked("a", 30), parked("b", 10), parked("c", 20), parked("d", 95)];
        unwell.push((origin("e"), Peer::LIVE.parked(1, at(0)).unparked(1)));
        assert_eq!(due(unwell, at(100)), ["b", "c", "a"].map(origin));
    }
}
