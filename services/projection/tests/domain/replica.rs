//! A process that runs the projection, as far as a test can tell: it may freeze, or die without a word.

use std::{sync::Arc, time::Duration};

use fedsx_projection::{
    Settings,
    store::{Store, postgres},
};
use fedsx_proto::v1::{
    GetRowRequest, ListViewsRequest, flows_client::FlowsClient, projection_client::ProjectionClient,
};
use fedsx_runtime::{
    Context,
    token::{Credentials, Guard, Role},
    transport::{self, Authorised, Memory},
};
use jiff::SignedDuration;
use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};
use tonic::{
    Status,
    service::{Routes, interceptor::InterceptedService},
    transport::Server,
};

use super::{Domain, origin};

/// Nothing in a test takes so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// A dead process is missed after this time.
pub(crate) const TERM: SignedDuration = SignedDuration::from_millis(900);

#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) name: &'static str,
    pub(crate) context: Context,
    views: ProjectionClient<Authorised>,
    pub(crate) flows: FlowsClient<Authorised>,
    process: Process,
}

/// Ends without a word when it is dropped.
#[derive(Debug)]
struct Process(Option<Runtime>);

impl Process {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self(Some(runtime.unwrap()))
    }

    fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.as_ref().unwrap().spawn(task)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// A process that stands still until this is dropped.
#[derive(Debug)]
pub(crate) struct Frozen(#[expect(dead_code, reason = "held to be dropped")] std::sync::mpsc::Sender<()>);

impl Replica {
    /// With a pool of its own.
    pub(crate) async fn start(name: &'static str, url: &str, domain: &Domain) -> Self {
        let url = url.to_owned();
        let open = async move { Arc::new(postgres::open(&url).await.unwrap()) as Arc<dyn Store> };
        Self::start_on(name, open, domain).await
    }

    /// Over a store that the process opens.
    pub(crate) async fn start_on(
        name: &'static str,
        open: impl Future<Output = Arc<dyn Store>> + Send + 'static,
        domain: &Domain,
    ) -> Self {
        Self::start_with(name, open, domain, |_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(
        name: &'static str,
        open: impl Future<Output = Arc<dyn Store>> + Send + 'static,
        domain: &Domain,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let process = Process::new();
        let (context, tokens) = (Context::default(), domain.tokens.clone());
        let (log, ours) = (domain.log(Role::Projection), context.clone());
        let mut settings = Settings {
            owner: name.to_owned(),
            lease_term: TERM,
            flow_term: TERM,
            ..Settings::new(origin())
        };
        change(&mut settings);
        let started = process.spawn(async move {
            let (memory, incoming) = transport::memory();
            let served = fedsx_projection::start(settings, open.await, log, ours.clone());
            let served = served.await.unwrap();
            let routes = Routes::new(InterceptedService::new(served.grpc, Guard(tokens.clone())))
                .add_service(InterceptedService::new(served.flows, Guard(tokens.clone())));
            let stop = ours.shutdown.token().cancelled_owned();
            ours.shutdown.spawn(
                Server::builder()
                    .add_routes(routes)
                    .serve_with_incoming_shutdown(incoming, stop),
            );
            memory
        });
        let memory: Memory = started.await.unwrap();
        let credentials = Credentials::of(&domain.tokens, Role::Gateway);
        Self {
            name,
            context,
            views: ProjectionClient::new(InterceptedService::new(memory.channel(), credentials)),
            flows: FlowsClient::new(InterceptedService::new(
                memory.channel(),
                Credentials::of(&domain.tokens, Role::Operator),
            )),
            process,
        }
    }

    /// A row of a view that has seen the log up to a position.
    pub(crate) async fn row(&self, view: &str, key: &str, at_least: u64) -> Result<Option<Value>, Status> {
        let request = GetRowRequest {
            view: view.to_owned(),
            key: key.to_owned(),
            at_least,
        };
        match self.views.clone().get_row(request).await {
            Ok(found) => Ok(serde_json::from_slice(&found.into_inner().row.unwrap().value).ok()),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// How many shards of views a process holds, as this one tells.
    pub(crate) async fn held_by(&self, owner: &str) -> usize {
        let views = self.views.clone().list_views(ListViewsRequest {}).await;
        let views = views.unwrap().into_inner().views.into_iter();
        let shards = views
            .filter(|view| !view.view.contains('/'))
            .flat_map(|view| view.shards);
        shards.filter(|shard| shard.owner == owner).count()
    }

    /// Who answers Follows.
    pub(crate) async fn reacts(&self) -> String {
        let views = self.views.clone().list_views(ListViewsRequest {}).await;
        let mut views = views.unwrap().into_inner().views.into_iter();
        let reaction = views.find(|view| view.view == "reaction/follow").unwrap();
        reaction.shards[0].owner.clone()
    }

    /// What it lacks to be ready.
    pub(crate) fn lacks(&self) -> Option<String> {
        self.context.readiness.lacking().get("views").cloned()
    }

    /// Its one thread stands still from now on, wherever its tasks are.
    pub(crate) async fn freeze(&self) -> Frozen {
        let (thaw, thawed) = std::sync::mpsc::channel();
        let (frozen, freezes) = tokio::sync::oneshot::channel();
        self.process.spawn(async move {
            frozen.send(()).unwrap();
            let _ = thawed.recv();
        });
        freezes.await.unwrap();
        Frozen(thaw)
    }

    /// Whatever it does, it does no more.
    pub(crate) fn die(self) {
        drop(self.process);
    }

    /// Ends in good order.
    pub(crate) async fn stop(self) {
        assert!(self.context.shutdown.finish(PATIENCE).await);
    }
}

/// Waits until a condition holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "never: {what}");
}
