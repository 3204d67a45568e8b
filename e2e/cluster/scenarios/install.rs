//! From an empty namespace to two domains.

use fedsx_e2e::Role;
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::ListParams};

use crate::harness::Stage;

pub(crate) async fn both_releases_come_up_from_nothing(stage: &'static Stage) {
    eprintln!(
        "both domains and their servers were ready after {:?}",
        stage.came_up
    );
    for release in [&stage.blog, &stage.events] {
        for role in [Role::Gateway, Role::Log, Role::Projection, Role::Delivery] {
            assert!(
                !release.pods(role).await.is_empty(),
                "no {role:?} of {}",
                release.name()
            );
        }
        assert!(
            release.head().await > 0,
            "{} has published its bundle",
            release.name()
        );
    }
    // A service that is not there yet is waited for, not crashed for.
    for pod in stage
        .cluster
        .api::<Pod>()
        .list(&ListParams::default())
        .await
        .expect("pods")
    {
        let containers = pod
            .status
            .clone()
            .and_then(|status| status.container_statuses)
            .unwrap_or_default();
        let restarts: i32 = containers.iter().map(|container| container.restart_count).sum();
        assert_eq!(restarts, 0, "{} was restarted", pod.name_any());
    }
}
