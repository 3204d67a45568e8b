//! Probing parked peers, and giving up those that never came back.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fedsx_kernel::origin::Origin;
use fedsx_runtime::{Context, clock::Clock};
use tokio::sync::Semaphore;

use crate::{
    gone::Gone,
    ledger::{ClaimToken, Ledger, Result},
    parking::Parking,
    send::Sender,
    wake::Wake,
    watch::Stopwatch,
};

/// Probes under way at the same time.
const PROBES: usize = 32;
/// Every so many ticks is looked for what a crash left undone, and for peers whose follows end.
const SELDOM: u32 = 40;

/// Probes parked peers.
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
        let now = self.clock.now();
        for (origin, _) in self
            .ledger
            .unwell()
            .await?
            .into_iter()
            .filter(|(_, peer)| peer.probes(now))
        {
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
        if let Some(claim) = self.ledger.claim_probe(origin, &token).await? {
            self.sender.run(claim, watch).await;
        }
        Ok(())
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
