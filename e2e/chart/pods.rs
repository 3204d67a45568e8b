//! Pods: as restricted as they can be, and labelled.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::helm::{EXAMPLES, Pod, Rendered, list, render, text};

/// The services of a domain that run as pods of their own.
pub(crate) const ROLES: [&str; 4] = ["gateway", "log", "projection", "delivery"];

pub(crate) fn each_pod(check: impl Fn(&Rendered, &Pod<'_>)) {
    for example in EXAMPLES {
        let release = render(example, &[]);
        let components: BTreeSet<_> = release
            .pods()
            .iter()
            .map(|pod| pod.component.to_owned())
            .collect();
        assert_eq!(components.len(), 6, "{components:?}");
        for pod in release.pods() {
            check(&release, &pod);
        }
    }
}

#[test]
fn pods_are_restricted() {
    each_pod(|_, pod| {
        let user = json!(65532);
        let expected = json!({
            "runAsNonRoot": true, "runAsUser": user, "runAsGroup": user, "fsGroup": user,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
        });
        assert_eq!(pod.spec["securityContext"], expected, "{}", pod.component);
        let expected = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(pod.container()["securityContext"], expected, "{}", pod.component);
        for open in ["hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers"] {
            assert_eq!(pod.spec[open], Value::Null, "{}", pod.component);
        }
        for port in list(&pod.container()["ports"]) {
            assert_eq!(port["hostPort"], Value::Null, "{}", pod.component);
        }
    });
}

#[test]
fn a_platform_may_assign_the_user() {
    let release = render("blog", &["runAsUser:=null"]);
    for pod in release.pods() {
        let expected = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(pod.spec["securityContext"], expected, "{}", pod.component);
    }
}

#[test]
fn nobody_has_a_token_of_the_api_server() {
    each_pod(|release, pod| {
        assert_eq!(
            pod.spec["automountServiceAccountToken"], false,
            "{}",
            pod.component
        );
        let account = release.one("ServiceAccount", text(&pod.spec["serviceAccountName"]));
        assert_eq!(account["automountServiceAccountToken"], false);
    });
}

/// What Services are called in the namespace would be taken for settings.
#[test]
fn nobody_is_told_of_other_services() {
    each_pod(|_, pod| assert_eq!(pod.spec["enableServiceLinks"], false, "{}", pod.component));
}

#[test]
fn memory_is_bounded_and_asked_for() {
    each_pod(|_, pod| {
        let resources = &pod.container()["resources"];
        for bound in ["/limits/memory", "/requests/memory", "/requests/cpu"] {
            assert!(resources.pointer(bound).is_some(), "{} {bound}", pod.component);
        }
    });
}

#[test]
fn only_what_is_for_files_can_be_written() {
    let release = render(
        "production",
        &[
            "blobs.url=file:///var/lib/fed-sx/blobs",
            "blobs.existingClaim=blobs",
        ],
    );
    for pod in release.pods() {
        let mounts = list(&pod.container()["volumeMounts"]).iter();
        let written: Vec<_> = mounts
            .filter(|mount| mount["readOnly"] != true)
            .map(|mount| text(&mount["mountPath"]))
            .collect();
        let expected: &[&str] = match pod.component {
            "log" => &["/var/lib/fed-sx/blobs"],
            // Snapshots on their way, and what commands write.
            "projection" | "toolbox" | "self-test" => &["/tmp"],
            _ => &[],
        };
        assert_eq!(written, expected, "{}", pod.component);
    }
}

#[test]
fn a_projection_has_as_much_room_as_it_is_given() {
    let release = render("blog", &["projection.scratch=20Gi"]);
    let room = |component: &str| {
        let volumes = list(&release.pod(component).spec["volumes"]).iter();
        let mut scratch = volumes.filter(|volume| volume["name"] == "tmp");
        scratch.next().unwrap()["emptyDir"]["sizeLimit"].clone()
    };
    assert_eq!(["projection", "toolbox"].map(room), ["20Gi", "1Gi"]);
}

#[test]
fn labels_are_those_that_kubernetes_recommends() {
    for example in EXAMPLES {
        for object in &render(example, &[]).objects {
            for label in ["name", "instance", "version", "part-of", "managed-by"] {
                let key = format!("app.kubernetes.io/{label}");
                assert!(
                    object["metadata"]["labels"][&key].is_string(),
                    "{key} of {}",
                    object["metadata"]["name"]
                );
            }
            assert_eq!(object["metadata"]["labels"]["helm.sh/chart"], "fed-sx-0.1.0");
        }
    }
}
