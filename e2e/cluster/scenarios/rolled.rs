//! `kubectl rollout restart`.

use fedsx_e2e::Role;

use super::Traffic;
use crate::harness::Stage;

pub(crate) async fn each_role_is_restarted_under_load(stage: &'static Stage) {
    let mut traffic = Traffic::start(stage, "restarted", [2, 1]).await;
    for role in [Role::Log, Role::Gateway, Role::Projection, Role::Delivery] {
        traffic.goes_on(10).await;
        tokio::join!(stage.blog.restart(role), stage.events.restart(role));
        traffic.goes_on(10).await;
    }
    traffic.verify().await;
}
