//! The database goes and comes back under load.

use fedsx_e2e::{Plan, Role};
use fedsx_testing::{postgres, rabbitmq::Vhost};

use super::Pair;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_restarted_or_killed_loses_nothing_acknowledged() {
    let (mut server, vhost) = tokio::join!(postgres::Server::start(), Vhost::create());
    let database = server.database().await;
    let plan = Plan::of("blog")
        .replicas(Role::Log, 2)
        .replicas(Role::Delivery, 2);
    let mut pair = Pair::of(plan.started_on(database, vhost)).await;
    let mut loads = pair.loads();
    loads.go_on(25).await;

    server.stop().await;
    loads.back.goes_on(10).await;
    server.start_again().await;
    loads.go_on(25).await;

    server.kill9();
    loads.back.goes_on(10).await;
    server.start_again().await;
    loads.go_on(25).await;

    server.freeze();
    loads.back.goes_on(10).await;
    server.thaw();
    loads.go_on(25).await;
    pair.blog.ready().await;
    pair.verify(loads).await;
}
