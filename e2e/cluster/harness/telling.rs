//! What a failed scenario leaves behind for its reader.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    ResourceExt as _,
    api::{ListParams, LogParams},
};
use tokio::time::timeout;

use super::{Cluster, Release, Stage};

/// Lines of each container's log.
const LINES: i64 = 80;
/// Rows of each ledger that are not delivered.
const ROWS: usize = 50;
/// What does not answer by then has nothing to say.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints the namespace's pods with the ends of their logs, its events, and what the ledgers still owe.
pub(crate) async fn tell(cluster: &Cluster, stage: Option<&Stage>) {
    pods(cluster).await;
    events(cluster).await;
    for release in stage.iter().flat_map(|stage| [&stage.blog, &stage.events]) {
        let told = timeout(PATIENCE, AssertUnwindSafe(ledger(release)).catch_unwind()).await;
        if !matches!(told, Ok(Ok(()))) {
            eprintln!("--- the ledger of {} does not answer", release.name());
        }
    }
}

async fn pods(cluster: &Cluster) {
    let api = cluster.api::<Pod>();
    for pod in api.list(&ListParams::default()).await.iter().flatten() {
        let (name, status) = (pod.name_any(), pod.status.clone().unwrap_or_default());
        let containers = status.container_statuses.unwrap_or_default();
        let restarts = containers
            .iter()
            .map(|container| container.restart_count)
            .sum::<i32>();
        let phase = status.phase.unwrap_or_default();
        eprintln!(
            "--- pod {name}: {phase}, {restarts} restarts, {}",
            status.message.unwrap_or_default()
        );
        for previous in [true, false] {
            let parameters = LogParams {
                previous,
                tail_lines: Some(LINES),
                ..LogParams::default()
            };
            if let Ok(log) = api.logs(&name, &parameters).await {
                eprintln!(
                    "--- its {}log ends:\n{log}",
                    if previous { "previous " } else { "" }
                );
            }
        }
    }
}

async fn events(cluster: &Cluster) {
    eprintln!("--- events:");
    for event in cluster
        .api::<Event>()
        .list(&ListParams::default())
        .await
        .iter()
        .flatten()
    {
        let about = event.involved_object.name.clone().unwrap_or_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        eprintln!("{} {about}: {}", text(&event.reason), text(&event.message));
    }
}

async fn ledger(release: &Release) {
    let rows = release.deliveries().await;
    let owed: Vec<_> = rows.iter().filter(|row| row.state != "delivered").collect();
    eprintln!(
        "--- the ledger of {}: {} rows, {} not delivered",
        release.name(),
        rows.len(),
        owed.len()
    );
    for row in owed.iter().take(ROWS) {
        eprintln!("{row:?}");
    }
}
