//! `helm uninstall`.

use std::time::Duration;

use fedsx_e2e::eventually;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};

use super::ids;
use crate::harness::{Release, Stage, helm};

const GONE: Duration = Duration::from_secs(60);

pub(crate) async fn uninstalling_leaves_what_it_says_it_keeps(stage: &'static Stage) {
    let (cluster, blog) = (&stage.cluster, &stage.blog);
    let (author, head) = (blog.whole_outbox("author").await, blog.head().await);
    let said = helm::must(&cluster.namespace, &["uninstall", "blog", "--wait"]).await;
    assert!(said.contains("blog-secrets"), "it says what it keeps: {said}");
    let ours = "app.kubernetes.io/instance=blog";
    eventually("everything else is gone", GONE, async || {
        let left = [
            cluster.names::<Deployment>(ours).await,
            cluster.names::<Pod>(ours).await,
            cluster.names::<Service>(ours).await,
            cluster.names::<ServiceAccount>(ours).await,
            cluster.names::<ConfigMap>(ours).await,
            cluster.names::<NetworkPolicy>(ours).await,
            cluster.names::<PodDisruptionBudget>(ours).await,
        ];
        let left = left.concat();
        left.is_empty().then_some(()).ok_or(format!("{left:?}"))
    })
    .await;
    assert_eq!(cluster.names::<Secret>(ours).await, ["blog-secrets"]);

    // With it and the database, the domain comes back as it was.
    let again = Release::install(cluster, "blog").await;
    let entries = again.whole_outbox("author").await;
    assert_eq!(ids(&entries), ids(&author));
    assert!(again.head().await >= head);
    again.publish("author", "We are back").await;
    fedsx_e2e::settle(&[&again, &stage.events]).await;
    let received = stage.events.received(&again.actor("author")).await;
    assert_eq!(
        received.last().map(|entry| entry.name().to_owned()).as_deref(),
        Some("We are back")
    );
}
