//! How pods end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, WatchEvent, WatchParams},
};
use tokio::task::JoinHandle;

/// What the containers of pods exited with, by pod: 0 where a process ended by itself, 137 where it was killed.
pub(crate) struct Endings {
    codes: Arc<Mutex<BTreeMap<String, i32>>>,
    task: JoinHandle<()>,
}

impl Endings {
    /// Watches the pods of these labels from now on, for less than five minutes.
    pub(crate) async fn of(pods: Api<Pod>, selector: &str) -> Self {
        let listed = pods.list(&ListParams::default().labels(selector)).await;
        let version = listed.expect("pods").metadata.resource_version;
        let parameters = WatchParams::default().labels(selector).disable_bookmarks();
        let events = pods.watch(&parameters, &version.expect("a version")).await;
        let events = events.expect("a watch");
        let codes = Arc::new(Mutex::new(BTreeMap::new()));
        let seen = codes.clone();
        let task = tokio::spawn(async move {
            pin_mut!(events);
            while let Some(event) = events.next().await {
                let pod = match event {
                    Ok(WatchEvent::Modified(pod) | WatchEvent::Deleted(pod)) => pod,
                    Ok(WatchEvent::Added(_) | WatchEvent::Bookmark(_)) => continue,
                    Ok(WatchEvent::Error(status)) => return eprintln!("the watch: {status:?}"),
                    Err(error) => return eprintln!("the watch: {error}"),
                };
                if let Some(code) = code(&pod) {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.insert(pod.name_any(), code);
                }
            }
        });
        Self { codes, task }
    }

    pub(crate) fn seen(&self) -> BTreeMap<String, i32> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Endings {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the pod's container exited with, if it has; every pod of ours has one.
fn code(pod: &Pod) -> Option<i32> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let state = containers.first()?.state.as_ref()?;
    Some(state.terminated.as_ref()?.exit_code)
}
