//! The parts: a gateway, what is behind it, and the CPU time of each.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use fedsx_gateway::Settings;
use fedsx_kernel::{
    actor::{self, Kind, NewActor},
    draft::{Draft, Seal},
    key::SigningKey,
    origin::Origin,
};
use fedsx_proto::v1::{
    flows_client, log_client, log_server::LogServer, projection_client, projection_server::ProjectionServer,
};
use fedsx_runtime::{
    Context,
    fetch::{Fetcher, Policy},
    serve,
    token::Credentials,
    transport::{self, Memory},
};
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime};
use tonic::transport::Server;

mod services;

pub(crate) const ORIGIN: &str = "https://events.example";
pub(crate) const SEED: [u8; 32] = [7; 32];

/// What is behind the gateway, and the peer that sends.
pub(crate) struct Behind {
    memory: Memory,
    pub(crate) peer: Origin,
    calls: Arc<Calls>,
}

/// Calls that were answered.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    log: AtomicU64,
    appends: AtomicU64,
    projection: AtomicU64,
}

impl Behind {
    pub(crate) fn counts(&self) -> String {
        let of = |calls: &AtomicU64| calls.load(Ordering::Relaxed);
        format!(
            "calls: {} of the log with {} appends, {} of the projection",
            of(&self.calls.log),
            of(&self.calls.appends),
            of(&self.calls.projection)
        )
    }
}

/// A runtime whose threads have a name.
pub(crate) fn runtime(name: &str, threads: usize) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .unwrap()
}

/// Starts the services, and the peer's server that shows its actor.
pub(crate) async fn behind() -> Behind {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer: Origin = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let actor = NewActor {
        name: Some("load".to_owned()),
        kind: Kind::Service,
        display_name: None,
        summary: None,
        manual_approval: false,
    };
    let document = actor
        .document(&peer, &SigningKey::from_seed(&SEED).verifying_key())
        .to_string();
    let content_type = [("content-type", "application/activity+json")];
    let router = Router::new().route("/actors/load", get(async move || (content_type, document)));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let calls = Arc::new(Calls::default());
    let (memory, incoming) = transport::memory();
    let server = Server::builder()
        .add_service(LogServer::new(services::Log(calls.clone())))
        .add_service(ProjectionServer::new(services::Views(calls.clone())));
    tokio::spawn(server.serve_with_incoming(incoming));
    Behind { memory, peer, calls }
}

/// Starts a gateway without limits.
pub(crate) async fn gateway(behind: &Behind) -> SocketAddr {
    let (channel, credentials) = (behind.memory.channel(), Credentials::new("token"));
    let log = log_client::LogClient::with_interceptor(channel.clone(), credentials.clone());
    let flows = flows_client::FlowsClient::with_interceptor(channel.clone(), credentials.clone());
    let projection = projection_client::ProjectionClient::with_interceptor(channel, credentials);
    let fetcher = Fetcher::new(Policy::new(["http://127.0.0.1:*".to_owned()]).unwrap()).unwrap();
    let mut settings = Settings::new(ORIGIN.parse().unwrap());
    (settings.client_rate, settings.origin_rate) = (None, None);
    let context = Context::default();
    let shutdown = context.shutdown.clone();
    let router = fedsx_gateway::start(settings, log, projection, flows, fetcher, context)
        .await
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve::Server::new(router).run(listener, shutdown));
    address
}

pub(crate) fn activity(origin: &Origin, id: &str, key: &SigningKey, number: usize) -> Vec<u8> {
    let object = json!({ "type": "Note", "content": format!("{number}: {}", "x".repeat(500)) });
    let draft = json!({ "type": "Create", "object": object, "to": [format!("{ORIGIN}/")] });
    let seal = Seal {
        origin,
        actor: id,
        published: jiff::Timestamp::now(),
        prev: None,
        key_id: &actor::key_id(id),
        key,
    };
    Draft::parse(draft.to_string().as_bytes())
        .unwrap()
        .seal(&seal)
        .unwrap()
        .body
}

/// CPU time by the name of the threads that spent it.
pub(crate) struct Cpu(BTreeMap<String, Duration>);

impl Cpu {
    pub(crate) fn of(&self, name: &str) -> Duration {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// Of this process until now: nanoseconds on the CPU, from each thread's `schedstat`.
pub(crate) fn cpu() -> Cpu {
    let mut spent = BTreeMap::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let folder = thread.unwrap().path();
        let name = std::fs::read_to_string(folder.join("comm")).unwrap();
        let times = std::fs::read_to_string(folder.join("schedstat")).unwrap();
        let nanoseconds = times.split(' ').next().unwrap().parse().unwrap();
        *spent.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(nanoseconds);
    }
    Cpu(spent)
}
