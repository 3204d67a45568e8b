//! The broker carries due work and no truth: whatever becomes of it, nothing is lost and no publish waits.

use std::time::Duration;

use fedsx_e2e::{Plan, Role, eventually};
use fedsx_testing::{postgres::Database, rabbitmq};

use super::Pair;
use crate::steps::SOON;

/// Delivery looks for its broker again at least this often.
const AGAIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_restarts_or_comes_back_empty_loses_nothing_and_holds_up_no_publish() {
    let (mut broker, database) = tokio::join!(rabbitmq::Server::start(), Database::create());
    let vhost = broker.vhost().await;
    let plan = Plan::of("blog").replicas(Role::Delivery, 2);
    let mut pair = Pair::of(plan.started_on(database, vhost)).await;
    let mut loads = pair.loads();
    loads.go_on(25).await;

    broker.kill9();
    loads.go_on(25).await;
    broker.start_again().await;
    pair.blog.ready().await;
    loads.go_on(25).await;

    broker.wipe(&[pair.blog.vhost()]).await;
    pair.blog.ready().await;
    loads.go_on(25).await;
    pair.verify(loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_holds_up_no_publish() {
    let (broker, database) = tokio::join!(rabbitmq::Server::start(), Database::create());
    let vhost = broker.vhost().await;
    let mut pair = Pair::of(Plan::of("blog").started_on(database, vhost)).await;
    let mut loads = pair.loads();
    loads.go_on(25).await;
    broker.freeze();
    loads.go_on(50).await;
    pair.blog.replica(Role::Delivery, 0).lacks("broker", AGAIN).await;
    broker.thaw();
    eventually("delivery has its broker again", AGAIN.max(SOON), async || {
        let ready = pair.blog.replica(Role::Delivery, 0).admin("/readyz").await;
        ready.status.is_success().then_some(()).ok_or(ready.to_string())
    })
    .await;
    loads.go_on(25).await;
    pair.verify(loads).await;
}
