//! Pods that get no word and no time.

use fedsx_e2e::Role;

use super::Traffic;
use crate::harness::Stage;

pub(crate) async fn each_role_is_killed_under_load(stage: &'static Stage) {
    let mut traffic = Traffic::start(stage, "killed", [2, 1]).await;
    for role in [Role::Delivery, Role::Log, Role::Gateway, Role::Projection] {
        traffic.goes_on(10).await;
        tokio::join!(stage.blog.kill(role), stage.events.kill(role));
        traffic.goes_on(10).await;
    }
    traffic.verify().await;
}
