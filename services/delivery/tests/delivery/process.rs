//! A delivery process of a domain, and what its ledger shows.

use std::{path::PathBuf, sync::Arc, time::Duration};

use fedsx_delivery::{
    Settings,
    broker::{Broker, embedded::Embedded, rabbitmq},
    ledger::{Ledger, postgres, sqlite},
};
use fedsx_proto::v1::{
    DeliveryRow, GetProgressRequest, ListDeliveriesRequest, ListPeersRequest, Peer as PeerRow,
    delivery_client::DeliveryClient,
};
use fedsx_runtime::{
    Context,
    fetch::{Fetcher, Policy},
    token::{Credentials, Guard, Role, Tokens},
    transport::{self, Authorised, Memory},
};
use tokio::runtime::Runtime;
use tonic::service::interceptor::InterceptedService;

use crate::{
    domain::{Domain, client},
    peer::Peer,
};

/// Long for anything that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) type Deliveries = DeliveryClient<Authorised>;

/// Waits for a condition.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let began = std::time::Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A delivery process: a runtime of its own, so that it can be killed.
pub(crate) struct Process {
    runtime: Option<Runtime>,
    context: Context,
    delivery: Memory,
    tokens: Tokens,
}

/// How a delivery process is started.
pub(crate) struct How {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) ledger: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) tick: Duration,
    pub(crate) lanes: usize,
    pub(crate) lanes_per_origin: usize,
    /// The URLs of a PostgreSQL database and a RabbitMQ vhost instead.
    pub(crate) servers: Option<(String, String)>,
}

impl Default for How {
    fn default() -> Self {
        Self {
            broker: Arc::new(Embedded::default()),
            ledger: "delivery.db",
            owner: "delivery",
            tick: Duration::from_millis(10),
            lanes: 256,
            lanes_per_origin: 32,
            servers: None,
        }
    }
}

impl Domain {
    /// Starts a delivery process.
    pub(crate) async fn deliver(&self) -> Process {
        self.deliver_as(How::default()).await
    }

    pub(crate) async fn deliver_as(&self, how: How) -> Process {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let context = Context {
            clock: self.clock.clone(),
            ..Context::default()
        };
        let mut settings = Settings::new(self.origin.clone(), self.master.clone());
        settings.tick = how.tick;
        settings.owner = how.owner.to_owned();
        settings.lanes = how.lanes;
        settings.lanes_per_origin = how.lanes_per_origin;
        let log = client(&self.log, &self.tokens, Role::Delivery);
        let fetcher = Fetcher::new(Policy::new(["http://127.0.0.1:*".to_owned()]).unwrap()).unwrap();
        let (path, clock, of) = (self.path(how.ledger), self.clock.clone(), context.clone());
        let (delivery, incoming) = transport::memory();
        let guard = Guard(self.tokens.clone());
        let started = runtime.spawn(async move {
            let (ledger, broker): (Arc<dyn Ledger>, Arc<dyn Broker>) = match how.servers {
                None => (Arc::new(sqlite::open(path, clock).await.unwrap()), how.broker),
                Some((database, vhost)) => (
                    Arc::new(postgres::open(&database).await.unwrap().with_clock(clock)),
                    Arc::new(rabbitmq::open(&vhost, how.owner, &of).unwrap()),
                ),
            };
            let server = fedsx_delivery::start(settings, ledger, broker, log, fetcher, of)
                .await
                .unwrap();
            let service = InterceptedService::new(server, guard);
            tokio::spawn(
                tonic::transport::Server::builder()
                    .add_service(service)
                    .serve_with_incoming(incoming),
            );
        });
        started.await.unwrap();
        Process {
            runtime: Some(runtime),
            context,
            delivery,
            tokens: self.tokens.clone(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Process {
    pub(crate) fn client(&self, role: Role) -> Deliveries {
        let credentials = Credentials::of(&self.tokens, role);
        DeliveryClient::new(InterceptedService::new(self.delivery.channel(), credentials))
    }

    /// The ledger, newest first.
    pub(crate) async fn rows(&self) -> Vec<DeliveryRow> {
        let request = ListDeliveriesRequest {
            limit: 1000,
            ..ListDeliveriesRequest::default()
        };
        self.client(Role::Operator)
            .list_deliveries(request)
            .await
            .unwrap()
            .into_inner()
            .deliveries
    }

    pub(crate) async fn row(&self, position: u64) -> DeliveryRow {
        let rows = self.rows().await;
        rows.into_iter()
            .find(|row| row.position == position)
            .expect("a row at the position")
    }

    pub(crate) async fn peer(&self, peer: &Peer) -> PeerRow {
        self.peer_at(peer.origin.as_str()).await
    }

    pub(crate) async fn peer_at(&self, origin: &str) -> PeerRow {
        let peers = self
            .client(Role::Operator)
            .list_peers(ListPeersRequest::default())
            .await
            .unwrap()
            .into_inner();
        peers
            .peers
            .into_iter()
            .find(|row| row.origin == origin)
            .expect("a row of the peer")
    }

    pub(crate) async fn pending(&self) -> u64 {
        self.client(Role::Operator)
            .get_progress(GetProgressRequest {})
            .await
            .unwrap()
            .into_inner()
            .pending
    }

    pub(crate) async fn cursor(&self) -> u64 {
        self.client(Role::Operator)
            .get_progress(GetProgressRequest {})
            .await
            .unwrap()
            .into_inner()
            .cursor
    }

    /// Waits until fan-out is past a position.
    pub(crate) async fn fanned_out(&self, position: u64) {
        eventually("fan-out gets there", async || self.cursor().await >= position).await;
    }

    /// Waits until fan-out is past a position and nothing is owed.
    pub(crate) async fn settled(&self, position: u64) {
        self.fanned_out(position).await;
        eventually("nothing is owed", async || self.pending().await == 0).await;
    }

    /// What it lacks to be ready, and why.
    pub(crate) fn lacking(&self) -> Vec<(&'static str, String)> {
        self.context.readiness.lacking().into_iter().collect()
    }

    pub(crate) fn metrics(&self) -> String {
        String::from_utf8(self.context.metrics.render().unwrap()).unwrap()
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        assert!(self.context.shutdown.finish(PATIENCE).await, "it stops in time");
        self.kill();
    }

    /// Ends it at once, as SIGKILL does.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
