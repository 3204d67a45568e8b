//! `helm upgrade`.

use fedsx_e2e::Role;
use k8s_openapi::api::core::v1::Secret;

use super::Traffic;
use crate::harness::{Stage, helm};

pub(crate) async fn changed_values_are_rolled_out_under_load(stage: &'static Stage) {
    let keys = async || {
        stage
            .cluster
            .api::<Secret>()
            .get("blog-secrets")
            .await
            .expect("the keys")
            .data
    };
    let before = keys().await;
    let pods = stage.blog.pods(Role::Log).await;
    let mut traffic = Traffic::start(stage, "upgraded", [2, 1]).await;
    traffic.goes_on(10).await;
    let upgrade = [
        "upgrade",
        "blog",
        "charts/fed-sx",
        "--reuse-values",
        "--wait",
        "--timeout",
        "5m",
    ];
    let values = [
        "--set",
        "settings.log=debug\\,h2=info\\,hyper=info,log.replicas=2,gateway.replicas=2",
    ];
    helm::must(&stage.cluster.namespace, &[&upgrade[..], &values].concat()).await;
    traffic.goes_on(10).await;
    traffic.verify().await;
    assert_eq!(keys().await, before, "the keys have changed");
    let now = stage.blog.pods(Role::Log).await;
    assert_eq!(now.len(), 2, "{now:?}");
    assert!(
        now.iter().all(|pod| !pods.contains(pod)),
        "{now:?} have the old settings"
    );
}
