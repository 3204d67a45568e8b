//! Several replicas of every role: one may go at any time, and nobody notices.

use fedsx_e2e::{Deployment, Plan, Role};

use super::{Loads, Pair};

const ROLES: [Role; 4] = [Role::Log, Role::Gateway, Role::Projection, Role::Delivery];

/// Two replicas of each role and three of delivery, which all start at once on an empty database.
fn several() -> impl Future<Output = Deployment> {
    let plan = [Role::Log, Role::Gateway, Role::Projection]
        .into_iter()
        .fold(Plan::of("blog"), |plan, role| plan.replicas(role, 2));
    plan.replicas(Role::Delivery, 3).started()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_leaves_its_work_to_the_others() {
    let mut pair = Pair::of(several()).await;
    let mut loads = pair.loads();
    loads.go_on(25).await;
    for number in [0, 1] {
        let log = pair.blog.replica(Role::Log, number);
        let entries = log.counted("fedsx_log_entries_total").await;
        assert!(entries > 0.0, "{} takes nothing", log.name());
    }
    for role in ROLES {
        pair.blog.replica(role, 0).kill9();
        loads.go_on(25).await;
    }
    let killed = pair.blog.head().await;
    loads.go_on(25).await;
    // What the dead had claimed becomes free by time alone.
    pair.verify(loads).await;
    let ledger = pair.blog.deliveries().await;
    assert!(ledger.iter().any(|row| row.position > killed));
    for row in ledger {
        let name = row.replica.as_str();
        let is_left = ["delivery-1", "delivery-2"].contains(&name);
        assert!(
            is_left || name == "delivery-0" && row.position <= killed,
            "{row:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_ends_every_process_in_good_order() {
    let mut pair = Pair::of(several()).await;
    let mut loads = pair.loads();
    loads.go_on(25).await;
    for role in ROLES {
        replaced(&mut pair.blog, role, &mut loads).await;
    }
    pair.verify(loads).await;
}

async fn replaced(blog: &mut Deployment, role: Role, loads: &mut Loads) {
    let replica = blog.replica(role, 0);
    let (status, ()) = tokio::join!(replica.terminate(), loads.go_on(10));
    assert!(status.success(), "{} ended with {status}", replica.name());
    replica.start().await;
    loads.go_on(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_replicas_that_ends_in_good_order_loses_nothing_either() {
    let mut pair = Pair::of(Deployment::blog()).await;
    let mut loads = pair.loads();
    loads.go_on(25).await;
    for role in ROLES {
        let replica = pair.blog.replica(role, 0);
        let status = replica.terminate().await;
        assert!(status.success(), "{} ended with {status}", replica.name());
        replica.start().await;
        loads.go_on(10).await;
    }
    pair.verify(loads).await;
}
