//! A projection that runs in a test.

use std::{path::Path, sync::Arc, time::Duration};

use fedsx_proto::v1::{
    GetRowRequest, ListRowsRequest, ListRowsResponse, ListViewsRequest, ShardState, ViewState,
    projection_server::Projection as _,
};
use fedsx_runtime::{Context, clock::SystemClock, code::Refusal};
use jiff::SignedDuration;
use serde_json::Value;
use tokio::runtime::Builder;
use tonic::Request;

use super::{
    log::{PATIENCE, TestLog},
    origin,
};
use crate::{
    ProjectionService, Settings, service,
    store::{Store, sqlite},
};

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) service: ProjectionService,
    pub(crate) context: Context,
}

/// A store in memory, by the machine's clock.
pub(crate) async fn store() -> Arc<dyn Store> {
    Arc::new(sqlite::memory(Arc::new(SystemClock)).await.unwrap())
}

impl Node {
    pub(crate) async fn start(store: &Arc<dyn Store>, log: &TestLog) -> Self {
        Self::start_as("test", SignedDuration::from_secs(15), store, log).await
    }

    pub(crate) async fn start_as(
        owner: &str,
        term: SignedDuration,
        store: &Arc<dyn Store>,
        log: &TestLog,
    ) -> Self {
        let settings = Settings {
            owner: owner.to_owned(),
            lease_term: term,
            ..Settings::new(origin())
        };
        let context = Context::default();
        let (service, _) = service(settings, store.clone(), log.serve(), &context)
            .await
            .unwrap();
        Self { service, context }
    }

    /// A row of a view that has seen everything that the log holds now.
    pub(crate) async fn row(&self, view: &str, key: &str, log: &TestLog) -> Option<Value> {
        let request = GetRowRequest {
            view: view.to_owned(),
            key: key.to_owned(),
            at_least: log.head(),
        };
        match self.service.get_row(Request::new(request)).await {
            Ok(found) => Some(serde_json::from_slice(&found.into_inner().row.unwrap().value).unwrap()),
            Err(status) if status.code() == tonic::Code::NotFound => None,
            Err(status) => panic!("{status}"),
        }
    }

    pub(crate) async fn list(&self, request: ListRowsRequest) -> Result<ListRowsResponse, Refusal> {
        let answer = self.service.list_rows(Request::new(request)).await;
        answer.map(tonic::Response::into_inner).map_err(Refusal::from)
    }

    /// The shards of a view, as `ListViews` shows them, once there are any.
    pub(crate) async fn shards(&self, view: &str) -> Vec<ShardState> {
        let waiting = async {
            loop {
                let views = self.views().await;
                if let Some(found) = views.into_iter().find(|state| state.view == view) {
                    return found.shards;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap()
    }

    /// How many shards of a view stand still.
    pub(crate) async fn halted(&self, view: &str) -> usize {
        let shards = self.shards(view).await;
        shards.iter().filter(|shard| !shard.halted.is_empty()).count()
    }

    /// What `ListViews` shows.
    pub(crate) async fn views(&self) -> Vec<ViewState> {
        let listed = self.service.list_views(Request::new(ListViewsRequest {}));
        listed.await.unwrap().into_inner().views
    }

    /// The id of the view that serves a name.
    pub(crate) async fn id(&self, view: &str) -> String {
        self.shards(view).await;
        let views = self.views().await;
        let live = views
            .into_iter()
            .find(|state| state.view == view && state.state == "live");
        live.unwrap().id
    }

    pub(crate) fn metrics(&self) -> String {
        String::from_utf8(self.context.metrics.render().unwrap()).unwrap()
    }

    pub(crate) async fn stop(self) {
        assert!(self.context.shutdown.finish(PATIENCE).await);
    }
}

/// A projection in a process of its own, as far as a test can tell: it can die without a word.
#[derive(Debug)]
pub(crate) struct Mortal {
    pub(crate) node: Node,
    process: tokio::runtime::Runtime,
}

impl Mortal {
    pub(crate) async fn start(owner: &'static str, term: SignedDuration, path: &Path, log: &TestLog) -> Self {
        let process = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (path, log) = (path.to_owned(), log.clone());
        let node = process.spawn(async move {
            let store: Arc<dyn Store> = Arc::new(sqlite::open(path, Arc::new(SystemClock)).await.unwrap());
            Node::start_as(owner, term, &store, &log).await
        });
        Self {
            node: node.await.unwrap(),
            process,
        }
    }

    /// Whatever it does, it does no more.
    pub(crate) fn die(self) {
        self.process.shutdown_background();
    }
}

/// Waits until a condition holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "never: {what}"
    );
}
