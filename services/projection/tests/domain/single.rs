//! A domain with one projection.

use std::{fmt, path::Path, sync::Arc};

use fedsx_projection::{
    Settings,
    store::{Store, sqlite},
};
use fedsx_proto::v1::{
    Flow, GetFlowRequest, GetKvRequest, ListFlowsRequest, ResumeFlowRequest, RetryFlowRequest,
};
use fedsx_runtime::{clock::SystemClock, code::Refusal, token::Role};
use serde_json::{Value, json};

use super::{
    Domain,
    replica::{Replica, eventually},
};

/// What its projection has for settings that others have not.
type Change = Box<dyn Fn(&mut Settings)>;

/// A domain with one projection, whose store lies in a file.
pub(crate) struct Single {
    pub(crate) domain: Domain,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) replica: Replica,
    change: Change,
}

impl fmt::Debug for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Single {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(change: impl Fn(&mut Settings) + 'static) -> Self {
        let (domain, folder) = (Domain::start().await, tempfile::tempdir().unwrap());
        let replica = projection("one", &folder.path().join("projection.db"), &domain, &change).await;
        Self {
            domain,
            folder,
            replica,
            change: Box::new(change),
        }
    }

    /// The process dies without a word.
    pub(crate) fn dies(self) -> Stopped {
        self.replica.die();
        Stopped {
            domain: self.domain,
            folder: self.folder,
            change: self.change,
        }
    }

    /// The process dies without a word, and another begins on a store of this name.
    pub(crate) async fn again(self, store: &str) -> Self {
        self.dies().again(store).await
    }

    pub(crate) async fn define(&self, name: &str, verb: &str, steps: Value) -> u64 {
        let record = json!({"name": name, "on": {"verbs": [verb]}, "steps": steps});
        self.domain
            .publish("", json!({"type": "DefineBehaviour", "object": record}))
            .await
    }

    /// At most 1000.
    pub(crate) async fn flows(&self) -> Vec<Flow> {
        let request = ListFlowsRequest {
            limit: 1000,
            ..ListFlowsRequest::default()
        };
        let listed = self.replica.flows.clone().list_flows(request).await.unwrap();
        listed.into_inner().flows
    }

    /// The only flow, once it has this status.
    pub(crate) async fn flow(&self, status: &str) -> Flow {
        eventually(status, async || {
            let flows = self.flows().await;
            flows.len() == 1 && flows[0].status == status
        })
        .await;
        let id = self.flows().await.remove(0).id;
        self.show(&id).await
    }

    pub(crate) async fn show(&self, id: &str) -> Flow {
        let request = GetFlowRequest {
            id: id.to_owned(),
            ..GetFlowRequest::default()
        };
        let shown = self.replica.flows.clone().get_flow(request).await.unwrap();
        shown.into_inner().flow.unwrap()
    }

    pub(crate) async fn resume(&self, id: &str, value: &str) -> Result<Flow, Refusal> {
        let request = ResumeFlowRequest {
            id: id.to_owned(),
            step: String::new(),
            value: value.to_owned().into(),
        };
        let moved = self.replica.flows.clone().resume_flow(request).await;
        Ok(moved.map_err(Refusal::from)?.into_inner().flow.unwrap())
    }

    pub(crate) async fn retry(&self, id: &str) -> Result<Flow, Refusal> {
        let request = RetryFlowRequest {
            id: id.to_owned(),
            step: String::new(),
        };
        let moved = self.replica.flows.clone().retry_flow(request).await;
        Ok(moved.map_err(Refusal::from)?.into_inner().flow.unwrap())
    }

    /// A value of the domain's state.
    pub(crate) async fn state(&self, key: &str) -> Option<Value> {
        let request = GetKvRequest {
            space: "state".to_owned(),
            key: key.to_owned(),
        };
        let kept = self.domain.log(Role::Site).get_kv(request).await.unwrap();
        let item = kept.into_inner().item?;
        Some(serde_json::from_slice(&item.value).unwrap())
    }

    /// Another process beside it, on the same store.
    pub(crate) async fn beside(&self, name: &'static str, change: impl Fn(&mut Settings)) -> Replica {
        projection(
            name,
            &self.folder.path().join("projection.db"),
            &self.domain,
            change,
        )
        .await
    }
}

/// A domain without a projection.
pub(crate) struct Stopped {
    pub(crate) domain: Domain,
    pub(crate) folder: tempfile::TempDir,
    change: Change,
}

impl Stopped {
    /// One begins on a store of this name.
    pub(crate) async fn again(self, store: &str) -> Single {
        let path = self.folder.path().join(store);
        let replica = projection("two", &path, &self.domain, &self.change).await;
        Single {
            domain: self.domain,
            folder: self.folder,
            replica,
            change: self.change,
        }
    }
}

async fn projection(
    name: &'static str,
    path: &Path,
    domain: &Domain,
    change: impl Fn(&mut Settings),
) -> Replica {
    let path = path.to_owned();
    let open =
        async move { Arc::new(sqlite::open(path, Arc::new(SystemClock)).await.unwrap()) as Arc<dyn Store> };
    Replica::start_with(name, open, domain, change).await
}
