//! Delivery: what a domain's actors publish reaches the peers that it concerns, each once and in order, however long a
//! peer is away.
//!
//! The log is the outbox. [`fan_out`] follows it, folds who follows whom, and writes for each entry a row in the
//! [`ledger`] for each inbox that is owed it; then it tells the [`broker`] which lanes have work. A [`worker`] claims
//! lanes and sends what they owe, signed, in log order; what came of it is recorded under the claim. The sweeper finds
//! what came due by time, or was never told. A peer that stays away is parked: it costs a row and a probe now and then, and
//! catches up from the log when it is back. [`webhook`]s of flows are posted in the same way, and [`answers`] tells their flows
//! what came of them. Every decision is the kernel's (`fedsx_kernel::delivery`); here stand the
//! transactions that it asks for, and the IO.
//!
//! Enter by [`start`]. To add a broker, see [`broker`]; a database, see [`ledger`]; another way to sign, `post`; another
//! outcome, `fedsx_kernel::delivery::outcome`.

mod answers;
mod attempt;
mod audience;
mod bodies;
pub mod broker;
mod catch_up;
mod fan_out;
mod gone;
mod keys;
pub mod lane;
pub mod ledger;
mod log;
mod metrics;
mod parking;
mod post;
mod probe;
mod query;
mod rebuild;
mod recorder;
mod resolve;
mod schedule;
mod send;
mod settings;
mod supply;
mod sweep;
mod wake;
mod watch;
mod webhook;
mod wellness;
mod worker;

use std::sync::Arc;

use fedsx_proto::v1::delivery_server::DeliveryServer;
use fedsx_runtime::{Context, fetch::Fetcher, transport::MAX_MESSAGE};

use broker::Broker;
use ledger::{Ledger, StoreError};

pub use log::LogClient;
pub use query::DeliveryService;
pub use settings::Settings;

/// Delivery cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error("delivery's metrics are registered already")]
    Metrics(#[from] prometheus::Error),
}

/// Starts delivery. Its tasks end with `context.shutdown`: what is under way is finished, recorded and released first.
/// The log need not answer yet.
///
/// # Errors
/// [`StartError`]
pub async fn start(
    settings: Settings,
    ledger: Arc<dyn Ledger>,
    broker: Arc<dyn Broker>,
    log: LogClient,
    fetcher: Fetcher,
    context: Context,
) -> Result<DeliveryServer<DeliveryService>, StartError> {
    let metrics = metrics::Metrics::register(&context.metrics)?;
    ledger.forget_claims(&settings.owner).await?;
    let parts = Parts {
        log: log::Log::new(
            log.max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
        ),
        wake: Arc::default(),
        settings,
        ledger,
        broker,
        fetcher,
        metrics,
        context,
    };
    Ok(DeliveryServer::new(parts.start())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE))
}

/// What the tasks are made from.
struct Parts {
    settings: Settings,
    ledger: Arc<dyn Ledger>,
    broker: Arc<dyn Broker>,
    log: log::Log,
    fetcher: Fetcher,
    metrics: metrics::Metrics,
    wake: Arc<wake::Wake>,
    context: Context,
}

impl Parts {
    /// Starts the tasks, answering the service that goes with them.
    fn start(&self) -> DeliveryService {
        let tasks = &self.context.shutdown;
        let bodies = bodies::Bodies::new(self.log.clone());
        let parking = parking::Parking {
            ledger: self.ledger.clone(),
        };
        let gone = gone::Gone {
            origin: self.settings.origin.clone(),
            ledger: self.ledger.clone(),
            log: self.log.clone(),
        };
        let sender = Arc::new(self.sender(bodies.clone(), &parking, &gone));
        if self.settings.workers {
            tasks.spawn(self.worker(sender.clone()).run());
            tasks.spawn(self.fan_out(bodies).run());
            tasks.spawn(self.sweeper().run());
            tasks.spawn(self.catch_up().run());
            tasks.spawn(self.answers().run());
        }
        let probes = probe::Probes::new(
            self.ledger.clone(),
            sender,
            parking,
            gone,
            self.context.clock.clone(),
            self.wake.clone(),
            self.settings.owner.clone(),
        );
        let service = DeliveryService {
            ledger: self.ledger.clone(),
            log: self.log.clone(),
            probes: Arc::downgrade(&probes),
            wake: self.wake.clone(),
            tasks: tasks.clone(),
        };
        if self.settings.workers {
            tasks.spawn(probes.run(self.settings.tick, self.context.clone()));
        }
        service
    }

    fn sender(&self, bodies: bodies::Bodies, parking: &parking::Parking, gone: &gone::Gone) -> send::Sender {
        let attempts = attempt::Attempts {
            clock: self.context.clock.clone(),
            fetcher: self.fetcher.clone(),
            keys: keys::Keys::new(self.log.clone(), self.settings.master_key.clone()),
            bodies,
            resolver: resolve::Resolver::new(self.fetcher.clone()),
            wellness: wellness::Wellness::new(self.fetcher.clone(), self.ledger.clone()),
            metrics: self.metrics.clone(),
            stop: self.context.shutdown.token(),
        };
        let recorder = recorder::Recorder::start(
            self.ledger.clone(),
            parking.clone(),
            self.wake.clone(),
            &self.context.shutdown,
        );
        send::Sender {
            attempts,
            recorder,
            gone: gone.clone(),
            metrics: self.metrics.clone(),
            stop: self.context.shutdown.token(),
        }
    }

    fn worker(&self, sender: Arc<send::Sender>) -> worker::Worker {
        worker::Worker {
            ledger: self.ledger.clone(),
            broker: self.broker.clone(),
            sender,
            clock: self.context.clock.clone(),
            metrics: self.metrics.clone(),
            owner: self.settings.owner.clone(),
            stop: self.context.shutdown.token(),
            lanes: self.settings.lanes,
            lanes_per_origin: self.settings.lanes_per_origin,
        }
    }

    fn fan_out(&self, bodies: bodies::Bodies) -> fan_out::FanOut {
        fan_out::FanOut {
            origin: self.settings.origin.clone(),
            owner: self.settings.owner.clone(),
            term: self.settings.lease,
            tick: self.settings.tick,
            ledger: self.ledger.clone(),
            broker: self.broker.clone(),
            log: self.log.clone(),
            bodies,
            wake: self.wake.clone(),
            metrics: self.metrics.clone(),
            readiness: self.context.readiness.clone(),
            stop: self.context.shutdown.token(),
        }
    }

    fn sweeper(&self) -> sweep::Sweeper {
        sweep::Sweeper {
            ledger: self.ledger.clone(),
            broker: self.broker.clone(),
            wake: self.wake.clone(),
            metrics: self.metrics.clone(),
            tick: self.settings.tick,
            retention: self.settings.retention,
            stop: self.context.shutdown.token(),
        }
    }

    fn answers(&self) -> answers::Answers {
        answers::Answers {
            origin: self.settings.origin.clone(),
            ledger: self.ledger.clone(),
            log: self.log.clone(),
            wake: self.wake.clone(),
            tick: self.settings.tick,
            stop: self.context.shutdown.token(),
        }
    }

    fn catch_up(&self) -> catch_up::CatchUp {
        catch_up::CatchUp {
            origin: self.settings.origin.clone(),
            ledger: self.ledger.clone(),
            broker: self.broker.clone(),
            log: self.log.clone(),
            wake: self.wake.clone(),
            tick: self.settings.tick,
            stop: self.context.shutdown.token(),
        }
    }
}
