//! The servers that a domain stands on are away for a while.

use fedsx_e2e::eventually;

use super::Traffic;
use crate::harness::Stage;

const BACK: std::time::Duration = std::time::Duration::from_secs(120);

pub(crate) async fn postgres_and_rabbitmq_go_and_come_back(stage: &'static Stage) {
    let cluster = &stage.cluster;
    let mut traffic = Traffic::start(stage, "outage", [2, 1]).await;
    for server in ["rabbitmq", "postgres"] {
        traffic.goes_on(10).await;
        let pod = format!("{server}-0");
        let before = cluster.uid_of(&pod).await;
        cluster.delete_pod(&pod, false).await;
        eventually(&format!("{server} is back"), BACK, async || {
            let ready = cluster
                .ready_pods(&format!("app.kubernetes.io/name={server}"))
                .await;
            let again = !ready.is_empty() && cluster.uid_of(&pod).await != before;
            again.then_some(()).ok_or(format!("{ready:?}"))
        })
        .await;
        traffic.goes_on(10).await;
    }
    traffic.verify().await;
}
