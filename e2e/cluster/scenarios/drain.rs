//! A node that goes for maintenance.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{ResourceExt as _, api::ListParams};

use super::Traffic;
use crate::harness::{Cluster, Stage};

pub(crate) async fn a_node_is_drained_under_load(stage: &'static Stage) {
    let cluster = &stage.cluster;
    let node = node(cluster).await;
    let mut traffic = Traffic::start(stage, "drained", [2, 1]).await;
    traffic.goes_on(10).await;
    let left = cluster.drain(&node).await;
    eprintln!("{} pods left {node}: {left:?}", left.len());
    assert!(!left.is_empty(), "nothing was on {node}");
    traffic.goes_on(10).await;
    for release in [&stage.blog, &stage.events] {
        cluster.all_rolled_out(release.name()).await;
    }
    cluster.nodes().uncordon(&node).await.expect("the node");
    traffic.goes_on(10).await;
    traffic.verify().await;
}

/// A node with pods of the domains that the servers' volumes are not on.
async fn node(cluster: &Cluster) -> String {
    let taken = [
        cluster.node_of("postgres-0").await,
        cluster.node_of("rabbitmq-0").await,
    ];
    let pods = cluster
        .api::<Pod>()
        .list(&ListParams::default())
        .await
        .expect("pods");
    let used: Vec<_> = pods
        .iter()
        .filter_map(|pod| pod.spec.as_ref()?.node_name.clone())
        .collect();
    let nodes = cluster.nodes().list(&ListParams::default()).await.expect("nodes");
    let free = nodes
        .iter()
        .map(Node::name_any)
        .find(|node| !taken.contains(node) && used.contains(node));
    free.expect("a second node, which the domains use")
}
