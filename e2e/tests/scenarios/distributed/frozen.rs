//! A process that is stopped without being dead: its connections stay open, its locks are held, and nothing is answered.

use fedsx_e2e::{Plan, Role};

use super::Pair;

/// Freezes one of two replicas under load, and lets it go on when the other has shown that it needs nobody.
async fn frozen(role: Role) {
    let mut pair = Pair::of(Plan::of("blog").replicas(role, 2).started()).await;
    let mut loads = pair.loads();
    loads.go_on(50).await;
    pair.blog.replica(role, 0).freeze();
    loads.go_on(50).await;
    pair.blog.replica(role, 0).thaw();
    loads.go_on(50).await;
    pair.verify(loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_log_frees_the_other() {
    frozen(Role::Log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_delivery_repeats_and_reorders_nothing_when_it_goes_on() {
    frozen(Role::Delivery).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_projection_applies_nothing_twice_when_it_goes_on() {
    frozen(Role::Projection).await;
}
