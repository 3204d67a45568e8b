//! More delivery workers, and fewer again.

use std::collections::BTreeSet;

use fedsx_e2e::Role;

use super::Traffic;
use crate::harness::Stage;

/// Each actor has a lane of its own to the other domain.
const ACTORS: usize = 10;
const POSTS: usize = 34;

pub(crate) async fn a_thousand_deliveries_while_delivery_goes_up_and_down(stage: &'static Stage) {
    let (cluster, blog) = (&stage.cluster, &stage.blog);
    let delivery = blog.deployment(Role::Delivery);
    let mut traffic = Traffic::start(stage, "scaled", [ACTORS, 1]).await;
    let mut pods: BTreeSet<String> = BTreeSet::new();
    for replicas in [1, 3, 1] {
        cluster.scale(&delivery, replicas).await;
        pods.extend(blog.pods(Role::Delivery).await);
        traffic.goes_on(POSTS).await;
    }
    let published: BTreeSet<_> = traffic
        .verify()
        .await
        .into_iter()
        .map(|published| published.cid)
        .collect();
    assert!(published.len() >= 1000, "only {} deliveries", published.len());
    let ledger = blog.deliveries().await;
    let worked: BTreeSet<_> = ledger
        .into_iter()
        .filter(|row| published.contains(&row.cid))
        .map(|row| row.replica)
        .collect();
    eprintln!("{} deliveries, made by {worked:?}", published.len());
    assert!(worked.len() > 1, "only {worked:?} worked");
    assert!(worked.is_subset(&pods), "{worked:?} are not among {pods:?}");
}
