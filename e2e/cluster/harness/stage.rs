//! What the scenarios share: one namespace, and the two domains in it.

use std::{any::Any, panic::AssertUnwindSafe, sync::OnceLock, time::Duration};

use futures::FutureExt as _;
use libtest_mimic::Failed;
use tokio::{runtime::Runtime, sync::OnceCell};

use super::{Cluster, Release, helm, telling};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
/// None where the releases did not come up: no scenario can say more than the first.
static STAGE: OnceCell<Option<Stage>> = OnceCell::const_new();

/// The two domains of the chart's examples, which know each other.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) blog: Release,
    pub(crate) events: Release,
    /// How long it took until both were ready, from an empty namespace.
    pub(crate) came_up: Duration,
}

/// Whether `e2e/cluster/run` has not prepared a cluster: `cargo test` alone leaves everybody's alone.
pub(crate) fn unset() -> bool {
    std::env::var_os("FEDSX_CLUSTER_RUN").is_none()
}

/// Runs a scenario; where it fails, pods, logs, events and ledgers are printed.
pub(crate) fn play<F: Future<Output = ()>>(scenario: impl FnOnce(&'static Stage) -> F) -> Result<(), Failed> {
    runtime().block_on(async {
        let played = AssertUnwindSafe(async {
            let stage = STAGE.get_or_init(|| {
                AssertUnwindSafe(installed()).catch_unwind().map(|stage| {
                    stage
                        .inspect_err(|panic| eprintln!("the domains did not come up: {}", said(&**panic)))
                        .ok()
                })
            });
            scenario(stage.await.as_ref().expect("the domains have come up")).await;
        })
        .catch_unwind()
        .await;
        let Err(panic) = played else { return Ok(()) };
        if let Some(cluster) = CLUSTER.get() {
            telling::tell(cluster, STAGE.get().and_then(Option::as_ref)).await;
        }
        Err(Failed::from(said(&*panic)))
    })
}

/// Removes what is left, the servers' volumes too, which are in no namespace.
pub(crate) fn strike() {
    let Some(cluster) = CLUSTER.get() else { return };
    runtime().block_on(async {
        cluster.delete().await;
        for server in ["postgres", "rabbitmq"] {
            cluster
                .delete_volume(&format!("{}-tryout-{server}", cluster.namespace))
                .await;
        }
    });
}

async fn installed() -> Stage {
    let begin = std::time::Instant::now();
    let name = format!("fedsx-e2e-{}", std::process::id());
    let cluster = CLUSTER
        .get_or_init(|| Cluster::with_namespace(&name))
        .await
        .clone();
    tryout(&cluster).await;
    let (blog, events) = tokio::join!(
        Release::install(&cluster, "blog"),
        Release::install(&cluster, "events")
    );
    Stage {
        cluster,
        blog,
        events,
        came_up: begin.elapsed(),
    }
}

/// Installs the servers that the domains need.
async fn tryout(cluster: &Cluster) {
    let mut install: Vec<String> = ["install", "tryout", "deploy/tryout", "--wait", "--timeout", "5m"]
        .map(str::to_owned)
        .into();
    for server in ["postgres", "rabbitmq", "jaeger"] {
        if let Ok(image) = std::env::var(format!("FEDSX_CLUSTER_{}", server.to_uppercase())) {
            install.extend(["--set".to_owned(), format!("{server}.image={image}")]);
        }
    }
    // A node and a folder there, for clusters without a storage class.
    if let Ok(storage) = std::env::var("FEDSX_CLUSTER_STORAGE") {
        let (node, path) = storage
            .split_once(':')
            .expect("FEDSX_CLUSTER_STORAGE=node:/folder");
        install.extend([
            "--set".to_owned(),
            format!("storage.node={node},storage.path={path}"),
        ]);
    }
    let install: Vec<_> = install.iter().map(String::as_str).collect();
    helm::must(&cluster.namespace, &install).await;
}

fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "it panicked".to_owned())
}
