//! What is legal is taken, and arrives as it is written.

use serde_json::{Value, json};

use crate::{
    api::check,
    arrows::rules,
    helm::{Rendered, list, render},
};

/// Renders, as objects that Kubernetes takes.
fn taken(sets: &[&str]) -> Rendered {
    let release = render("production", sets);
    for object in &release.objects {
        check(object).unwrap_or_else(|problem| panic!("{sets:?}: {problem} in\n{object:#}"));
    }
    release
}

/// Only before the path does an `@` stand for a user.
#[test]
fn a_url_may_have_an_at_sign_in_its_path() {
    let release = taken(&[
        "tests.calendar=https://events.example.org/@main",
        "jaeger.url=http://jaeger:16686/@team",
        "otlp.endpoint=http://otel:4317/@otlp",
        "blobs.endpoint=http://[2001:db8::9]:9000/@files",
        "federation.follows:=[\"https://a.example/@a\",\"https://b.example?who=b@b.example\"]",
    ]);
    for (pod, variable, expected) in [
        ("toolbox", "FEDSX_JAEGER", "http://jaeger:16686/@team"),
        ("log", "FEDSX_OTLP", "http://otel:4317/@otlp"),
        ("log", "AWS_ENDPOINT_URL", "http://[2001:db8::9]:9000/@files"),
        (
            "projection",
            "FEDSX_FOLLOWS",
            "https://a.example/@a,https://b.example?who=b@b.example",
        ),
    ] {
        assert_eq!(release.pod(pod).variable(variable), Some(expected));
    }
    let test = release.pod("self-test");
    let arguments = list(&test.container()["args"]);
    assert!(
        arguments.contains(&json!("--calendar=https://events.example.org/@main")),
        "{arguments:?}"
    );
}

#[test]
fn a_size_may_be_any_that_kubernetes_knows() {
    for (size, expected) in [
        ("\"1.5Gi\"", "1.5Gi"),
        ("\".5G\"", ".5G"),
        ("\"500k\"", "500k"),
        ("\"1Ei\"", "1Ei"),
        ("\"1e9\"", "1e9"),
        ("1073741824", "1073741824"),
        ("2e9", "2000000000"),
    ] {
        let release = taken(&[&format!("projection.scratch:={size}")]);
        let pod = release.pod("projection");
        let mut volumes = list(&pod.spec["volumes"]).iter();
        let scratch = volumes.find(|volume| volume["name"] == "tmp").unwrap();
        assert_eq!(scratch["emptyDir"]["sizeLimit"], expected);
    }
}

/// Also one that YAML would take for something else.
#[test]
fn a_policy_s_port_may_have_a_name() {
    for (place, pod, name) in [
        ("postgres", "log", "postgres"),
        ("rabbitmq", "delivery", "amqps-1"),
        ("otlp", "gateway", "true"),
        ("dns", "log", "1e3"),
    ] {
        let release = taken(&[&format!("networkPolicy.{place}.ports:=[\"{name}\",7777]")]);
        let ports = |rule: &&Value| {
            list(&rule["ports"])
                .iter()
                .map(|port| port["port"].clone())
                .collect::<Vec<_>>()
        };
        let pod = release.pod(pod);
        let mut open = rules(&release, &pod, "egress").into_iter();
        let named = open.any(|rule| {
            let ports = ports(&rule);
            ports.first() == Some(&json!(name)) && ports.last() == Some(&json!(7777))
        });
        assert!(named, "{place} {name}");
    }
}

/// As short as a pod's end can be.
#[test]
fn a_pod_that_does_not_sleep_may_have_25_seconds() {
    let release = taken(&[
        "shutdown.preStopSeconds=0",
        "log.terminationGracePeriodSeconds=25",
    ]);
    assert_eq!(release.pod("log").spec["terminationGracePeriodSeconds"], 25);
}
