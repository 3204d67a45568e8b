//! A bundle of one's own: as the kubelet mounts it, the program takes it.

use std::{os::unix::fs::symlink, path::Path, process::Command};

use fedsx_e2e::binary;

use crate::helm::{Rendered, list, render, text};

/// Lays a ConfigMap out as the kubelet does: files in a hidden folder, and links to it.
fn mount(release: &Rendered, at: &Path) {
    let pod = release.pod("log");
    let volume = list(&pod.spec["volumes"])
        .iter()
        .find(|volume| volume["name"] == "bundle")
        .unwrap();
    let files = &release.one("ConfigMap", text(&volume["configMap"]["name"]))["data"];
    let hidden = at.join("..2026_11_22_10_00_00.000000001");
    for item in list(&volume["configMap"]["items"]) {
        let path = hidden.join(text(&item["path"]));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text(&files[text(&item["key"])])).unwrap();
    }
    symlink(hidden.file_name().unwrap(), at.join("..data")).unwrap();
    for entry in std::fs::read_dir(&hidden).unwrap() {
        let name = entry.unwrap().file_name();
        symlink(Path::new("..data").join(&name), at.join(&name)).unwrap();
    }
}

#[test]
fn a_mounted_bundle_is_sound_and_stands_on_a_built_in_one() {
    let release = render("production", &[]);
    let pod = release.pod("log");
    let path = pod.variable("FEDSX_BUNDLE").unwrap();
    let mounts = list(&pod.container()["volumeMounts"]);
    assert!(mounts.iter().any(|mount| mount["mountPath"] == path));
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("reviews");
    std::fs::create_dir(&bundle).unwrap();
    mount(&release, &bundle);
    for command in ["lock", "check"] {
        let output = Command::new(binary())
            .args(["genesis", command])
            .arg(&bundle)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_changed_bundle_starts_the_log_anew_and_nobody_else() {
    let [one, other] = ["1", "2"].map(|stars| {
        render(
            "production",
            &[&format!("bundle.files.types/review\\.yaml=name: Review{stars}")],
        )
    });
    for (one, other) in one.pods().iter().zip(other.pods()) {
        assert_eq!(
            one.metadata != other.metadata,
            one.component == "log",
            "{}",
            one.component
        );
    }
}
