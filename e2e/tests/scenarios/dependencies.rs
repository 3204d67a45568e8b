//! The crates depend on each other in one direction.

use std::{collections::BTreeMap, process::Command};

use fedsx_e2e::workspace;
use serde_json::Value;

/// Leaves, with no edges among them.
const LEAVES: [&str; 3] = ["fedsx-kernel", "fedsx-proto", "fedsx-runtime"];
/// They put the services together and test them: nothing uses these.
const TOPS: [&str; 2] = ["fedsx", "fedsx-e2e"];
/// Servers for tests: it knows nothing of the project, and nothing that ships uses it.
const TESTING: &str = "fedsx-testing";

/// The crates of the workspace that a crate of the workspace uses.
struct Uses {
    /// In what it ships.
    shipped: Vec<String>,
    /// In its tests, where a real service beats a fake one.
    tests: Vec<String>,
}

impl Uses {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.shipped.iter().chain(&self.tests)
    }
}

fn members() -> BTreeMap<String, Uses> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()
        .expect("cargo metadata");
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let members: Vec<String> = packages.iter().map(name).collect();
    let uses = |package: &Value| {
        let used = package["dependencies"].as_array().expect("dependencies").iter();
        let used = used.filter(|used| members.contains(&name(used)));
        let (tests, shipped): (Vec<&Value>, _) = used.partition(|used| used["kind"] == "dev");
        let names = |used: Vec<&Value>| used.into_iter().map(name).collect();
        Uses {
            shipped: names(shipped),
            tests: names(tests),
        }
    };
    packages
        .iter()
        .map(|package| (name(package), uses(package)))
        .collect()
}

#[test]
fn leaves_use_nothing_of_ours() {
    let members = members();
    for leaf in LEAVES {
        let used: Vec<_> = members[leaf].all().filter(|used| *used != TESTING).collect();
        assert!(used.is_empty(), "{leaf} uses {used:?}");
    }
}

#[test]
fn a_service_uses_the_leaves_and_no_other_service() {
    let mut members = members();
    members.retain(|name, _| {
        let name = name.as_str();
        name != TESTING && !LEAVES.contains(&name) && !TOPS.contains(&name)
    });
    assert!(
        members.len() >= 4,
        "log, gateway, projection and delivery are services"
    );
    for (service, uses) in members {
        let strange: Vec<_> = uses
            .shipped
            .iter()
            .filter(|used| !LEAVES.contains(&used.as_str()))
            .collect();
        assert!(strange.is_empty(), "{service} uses {strange:?}");
    }
}

#[test]
fn the_tests_servers_are_for_tests_alone() {
    for (name, uses) in members() {
        assert!(
            name != TESTING || uses.all().next().is_none(),
            "{TESTING} uses ours"
        );
        let ships = uses.shipped.iter().any(|used| used == TESTING);
        assert!(!ships || name == "fedsx-e2e", "{name} ships {TESTING}");
    }
}

#[test]
fn nothing_uses_the_binary_or_the_scenarios() {
    for (name, uses) in members() {
        let tops: Vec<_> = uses.all().filter(|used| TOPS.contains(&used.as_str())).collect();
        assert!(tops.is_empty(), "{name} uses {tops:?}");
    }
}
