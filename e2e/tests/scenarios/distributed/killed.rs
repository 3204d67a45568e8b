//! Each role killed in the middle of its work, and started again.

use fedsx_e2e::{Deployment, Role};

use super::Pair;

/// Kills the one replica of a role under load. What does not need it goes on meanwhile.
async fn killed(role: Role) {
    let mut pair = Pair::of(Deployment::blog()).await;
    let mut loads = pair.loads();
    loads.go_on(50).await;
    pair.blog.replica(role, 0).kill9();
    loads.back.goes_on(25).await;
    if role != Role::Log {
        loads.there.goes_on(25).await;
    }
    pair.blog.replica(role, 0).start().await;
    loads.go_on(50).await;
    pair.verify(loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_log_keeps_what_it_acknowledged() {
    killed(Role::Log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_is_asked_again() {
    killed(Role::Gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_projection_goes_on_where_it_was() {
    killed(Role::Projection).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_delivery_sends_what_it_owed() {
    killed(Role::Delivery).await;
}
