//! `helm upgrade`.

use fedsx_e2e::Role;
use k8s_openapi::api::core::v1::Secret;

use super::Traffic;
use crate::harness::Stage;

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
    // As people scale, whom the example's values leave that to.
    let delivery = stage.blog.deployment(Role::Delivery);
    stage.cluster.scale(&delivery, 2).await;
    let mut traffic = Traffic::start(stage, "upgraded", [2, 1]).await;
    traffic.goes_on(10).await;
    let changed = "settings.log=debug\\,h2=info\\,hyper=info,log.replicas=2,gateway.replicas=2";
    stage.blog.upgrade(&["--set", changed]).await;
    traffic.goes_on(10).await;
    traffic.verify().await;
    assert_eq!(keys().await, before, "the keys have changed");
    assert_eq!(stage.blog.pods(Role::Delivery).await.len(), 2, "it was scaled");
    let now = stage.blog.pods(Role::Log).await;
    assert_eq!(now.len(), 2, "{now:?}");
    assert!(
        now.iter().all(|pod| !pods.contains(pod)),
        "{now:?} have the old settings"
    );
}
