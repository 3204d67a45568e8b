//! A node that goes for maintenance.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{ResourceExt as _, api::ListParams};

use super::Traffic;
use crate::harness::{Cluster, Stage};

pub(crate) async fn a_node_is_drained_under_load(stage: &'static Stage) {
    let cluster = &stage.cluster;
    let node = node(cluster).await;
    let mut traffic = Traffic::start(stage, "drained", [2, 1]).await;
    traffic.goes_on(10).await;
    let drained = AssertUnwindSafe(drained(stage, &node, &mut traffic))
        .catch_unwind()
        .await;
    // It may be somebody's.
    cluster.nodes().uncordon(&node).await.expect("the node");
    drained.unwrap_or_else(|panic| resume_unwind(panic));
    traffic.goes_on(10).await;
    traffic.verify().await;
}

async fn drained(stage: &Stage, node: &str, traffic: &mut Traffic) {
    let left = stage.cluster.drain(node).await;
    eprintln!("{} pods left {node}: {left:?}", left.len());
    traffic.goes_on(10).await;
    for release in [&stage.blog, &stage.events] {
        stage.cluster.all_rolled_out(release.name()).await;
    }
    let of_a_role = |pod: &String| {
        let roles = ["gateway", "log", "projection", "delivery"];
        roles.iter().any(|role| pod.contains(&format!("-{role}-")))
    };
    assert!(left.iter().any(of_a_role), "only {left:?} were on {node}");
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
    free.expect("a node that the domains use and neither server's volume is on")
}
