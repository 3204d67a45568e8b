//! The chart of the servers for a try-out.

use std::path::PathBuf;

use fedsx_e2e::workspace;
use serde_json::{Value, json};

use crate::{
    api::check,
    helm::{Rendered, helm, list, template},
};

/// Values for a cluster without a storage class.
const FOLDER: [&str; 2] = ["storage.node=node1", "storage.path=/var/lib/tryout"];

fn chart() -> PathBuf {
    workspace().join("deploy/tryout")
}

fn tryout(sets: &[&str]) -> Result<Rendered, String> {
    template("tryout", &chart(), &[], sets)
}

/// The pod of each server.
fn servers(release: &Rendered) -> Vec<&Value> {
    let sets = release.of_kind("StatefulSet");
    let pods: Vec<_> = sets
        .chain(release.of_kind("Deployment"))
        .map(|object| &object["spec"]["template"]["spec"])
        .collect();
    assert_eq!(pods.len(), 3);
    pods
}

#[test]
fn every_object_is_what_its_schema_says() {
    for sets in [&[][..], &FOLDER, &["storage.className=fast"]] {
        for object in &tryout(sets).unwrap().objects {
            check(object).unwrap_or_else(|problem| panic!("{problem} in\n{object:#}"));
        }
    }
}

#[test]
fn pods_are_restricted() {
    for pod in servers(&tryout(&[]).unwrap()) {
        let security = &pod["securityContext"];
        assert_eq!(security["runAsNonRoot"], true, "{pod:#}");
        assert_eq!(security["seccompProfile"], json!({"type": "RuntimeDefault"}));
        let expected = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        for container in list(&pod["containers"]) {
            assert_eq!(container["securityContext"], expected, "{pod:#}");
        }
    }
}

#[test]
fn each_image_is_another_by_one_setting() {
    for server in ["postgres", "rabbitmq", "jaeger"] {
        let release = tryout(&[&format!("{server}.image=registry.example/{server}:1")]).unwrap();
        let images: Vec<_> = servers(&release)
            .iter()
            .map(|pod| pod["containers"][0]["image"].clone())
            .collect();
        let named = json!(format!("registry.example/{server}:1"));
        assert!(images.contains(&named), "{images:?}");
    }
}

#[test]
fn the_volumes_of_a_folder_are_one_namespaces_and_outlive_the_release() {
    let release = tryout(&FOLDER).unwrap();
    let volumes: Vec<_> = release.of_kind("PersistentVolume").collect();
    assert_eq!(volumes.len(), 2);
    for volume in volumes {
        assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
        assert_eq!(volume["spec"]["storageClassName"], "default-tryout-static");
        assert_eq!(
            volume["metadata"]["annotations"]["helm.sh/resource-policy"],
            "keep"
        );
    }
    for set in release.of_kind("StatefulSet") {
        let claim = &set["spec"]["volumeClaimTemplates"][0]["spec"];
        assert_eq!(claim["storageClassName"], "default-tryout-static");
        assert_eq!(claim["selector"], set["spec"]["selector"]);
    }
}

#[test]
fn a_volume_may_have_any_size_that_kubernetes_knows() {
    for (size, expected) in [
        ("\"10G\"", "10G"),
        ("\"1.5Ti\"", "1.5Ti"),
        ("\"1e9\"", "1e9"),
        ("1073741824", "1073741824"),
    ] {
        for sets in [&[][..], &FOLDER] {
            let size = format!("postgres.storage:={size}");
            let release = tryout(&[sets, &[&size]].concat()).unwrap();
            for object in &release.objects {
                check(object).unwrap_or_else(|problem| panic!("{problem} in\n{object:#}"));
            }
            let claim = &release.one("StatefulSet", "postgres")["spec"]["volumeClaimTemplates"][0];
            assert_eq!(claim["spec"]["resources"]["requests"]["storage"], expected);
            for volume in release.of_kind("PersistentVolume").take(1) {
                assert_eq!(volume["spec"]["capacity"]["storage"], expected);
            }
        }
    }
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    for (set, named) in [
        ("postgres.img=x", "img"),
        ("rabbitmq.image=", "/rabbitmq/image"),
        ("domains={Blog}", "/domains/0"),
        ("domains={postgres}", "/domains/0"),
        ("storage.path=var", "/storage/path"),
        ("storage.path=/var", "storage.node"),
        ("imagePullPolicy=Sometimes", "/imagePullPolicy"),
        ("postgres.storage=1GB", "/postgres/storage"),
        ("rabbitmq.storage=-1", "/rabbitmq/storage"),
    ] {
        let refused = tryout(&[set]).map(|release| release.text);
        let refused = refused.expect_err(set);
        assert!(refused.contains(named), "{set}: {refused}");
    }
}

#[test]
fn helm_finds_nothing_wrong_and_the_notes_are_loud() {
    let output = helm(["lint".into(), "--strict".into(), chart()]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let install = [
        "install".into(),
        "tryout".into(),
        chart(),
        "--dry-run=client".into(),
    ];
    let said = helm(install).stdout;
    assert!(String::from_utf8_lossy(&said).contains("NOT FOR PRODUCTION"));
}
