//! How many pods a role has: said by Helm, by `kubectl scale` or by an autoscaler, and never by two of them.

use serde_json::{Value, json};

use crate::{examples::notes, helm::render, pods::ROLES};

/// Nobody but the autoscaler decides how many there are: an upgrade would reset them.
#[test]
fn what_is_scaled_says_no_replicas() {
    let release = render("production", &["projection.autoscaling.enabled=true"]);
    let replicas =
        |role: &str| release.one("Deployment", &format!("blog-{role}"))["spec"]["replicas"].clone();
    assert_eq!(
        ROLES.map(replicas),
        [Value::Null, json!(2), Value::Null, Value::Null]
    );
    let scaled = &release.one("ScaledObject", "blog-delivery")["spec"];
    assert_eq!(scaled["scaleTargetRef"]["name"], "blog-delivery");
    assert_eq!(scaled["triggers"][0]["metadata"]["queueName"], "deliver");
    let source = fedsx_e2e::workspace().join("services/delivery/src/broker/rabbitmq/queue.rs");
    assert!(
        std::fs::read_to_string(source)
            .unwrap()
            .contains("const NAME: &str = \"deliver\";")
    );
    for role in ["gateway", "projection"] {
        let target =
            &release.one("HorizontalPodAutoscaler", &format!("blog-{role}"))["spec"]["scaleTargetRef"];
        assert_eq!(target["name"], format!("blog-{role}"));
    }
    assert_eq!(render("blog", &[]).of_kind("HorizontalPodAutoscaler").count(), 0);
    assert_eq!(render("blog", &[]).of_kind("ScaledObject").count(), 0);
}

/// Delivery is scaled by hand, where nobody says otherwise; of the others, Helm knows how many there are.
#[test]
fn helm_and_kubectl_do_not_contend_for_delivery() {
    let release = render("production", &["delivery.keda.enabled=false"]);
    let replicas =
        |role: &str| release.one("Deployment", &format!("blog-{role}"))["spec"]["replicas"].clone();
    assert_eq!(
        ["log", "projection", "delivery"].map(replicas),
        [json!(2), json!(2), Value::Null]
    );
}

/// What gives delivery more pods is what its values let work.
#[test]
fn what_is_told_of_scaling_works() {
    let kubectl = "kubectl -n default scale deploy/blog-delivery --replicas=";
    let upgrade = "helm -n default upgrade blog CHART --reset-then-reuse-values --set delivery.";
    for (set, expected) in [
        ("delivery.keda.enabled=false", kubectl.to_owned()),
        (
            "delivery.keda.maxReplicas=5",
            format!("{upgrade}keda.maxReplicas="),
        ),
        (
            "delivery.keda.enabled=false,delivery.replicas=2",
            format!("{upgrade}replicas="),
        ),
        (
            "delivery.keda.enabled=false,delivery.autoscaling.enabled=true",
            format!("{upgrade}autoscaling.maxReplicas="),
        ),
    ] {
        let alerts = render("production", &[set])
            .one("PrometheusRule", "blog")
            .to_string();
        assert!(alerts.contains(&format!("`{expected}N`")), "{set}: {alerts}");
        let told = notes("production", &[set]);
        let is_scaled = set.contains("enabled=true") || set.contains("maxReplicas");
        assert_eq!(
            told.contains(&format!("\n  {expected}3\n")),
            !is_scaled,
            "{set}: {told}"
        );
    }
}
