//! Names and labels, whatever a release is called and whoever adds labels of their own.

use crate::{
    api::check,
    helm::{Rendered, render, text, try_render_as},
};

fn called(name: &str, sets: &[&str]) -> Rendered {
    let release = try_render_as(name, "production", sets);
    release.unwrap_or_else(|error| panic!("{name} {sets:?}: {error}"))
}

/// YAML would take such names for numbers, booleans and nothing.
#[test]
fn a_release_may_be_called_what_yaml_reads_as_something_else() {
    let other = "fullnameOverride=blog";
    for (name, sets) in [
        ("true", &[][..]),
        ("null", &[]),
        ("on", &[]),
        ("2024", &[other]),
        ("1e3", &[other]),
        ("my.blog", &[other]),
        ("blog", &["nameOverride:=\"2024\""]),
        ("blog", &["fullnameOverride:=\"true\""]),
    ] {
        for object in &called(name, sets).objects {
            check(object).unwrap_or_else(|problem| panic!("{name} {sets:?}: {problem} in\n{object:#}"));
            assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/instance"], name);
        }
    }
}

#[test]
fn a_release_whose_name_makes_no_services_needs_another_prefix() {
    for name in ["2024", "my.blog", "1x"] {
        let error = try_render_as(name, "blog", &[])
            .map(|release| release.text)
            .unwrap_err();
        assert!(
            error.contains(&format!("the prefix \"{name}\"")) && error.contains("set fullnameOverride"),
            "{error}"
        );
    }
}

/// Theirs win over ours, the nearer over the farther, and no key is there twice: the parser would refuse it.
#[test]
fn labels_of_one_s_own_are_over_the_chart_s() {
    let release = render(
        "production",
        &[
            "commonLabels.app\\.kubernetes\\.io/part-of=shop",
            "commonLabels.helm\\.sh/chart=mine",
            "commonLabels.tier=all",
            "log.podLabels.tier=log",
            "log.podLabels.app\\.kubernetes\\.io/version=v2",
            "toolbox.podLabels.app\\.kubernetes\\.io/managed-by=me",
            "metrics.serviceMonitor.labels.tier=metrics",
        ],
    );
    for object in &release.objects {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/part-of"], "shop");
        assert_eq!(labels["helm.sh/chart"], "mine");
        let is_monitor = object["kind"] == "ServiceMonitor";
        assert_eq!(labels["tier"], if is_monitor { "metrics" } else { "all" });
    }
    let of = |pod: &str, key: &str| text(&release.pod(pod).metadata["labels"][key]).to_owned();
    assert_eq!(of("log", "tier"), "log");
    assert_eq!(of("gateway", "tier"), "all");
    assert_eq!(of("log", "app.kubernetes.io/version"), "v2");
    assert_eq!(of("toolbox", "app.kubernetes.io/managed-by"), "me");
    assert_eq!(of("log", "app.kubernetes.io/component"), "log");
}
