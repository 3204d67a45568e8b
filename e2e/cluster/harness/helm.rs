//! Helm, as operators run it.

use std::process::Output;

use fedsx_e2e::workspace;
use tokio::process::Command;

/// Runs a Helm command in a namespace. `HELM` names the program where it is not on the path.
pub(crate) async fn run(namespace: &str, arguments: &[&str]) -> Output {
    let program = std::env::var("HELM").unwrap_or_else(|_| "helm".to_owned());
    let output = Command::new(&program)
        .current_dir(workspace())
        .args(["--namespace", namespace])
        .args(arguments)
        .output()
        .await;
    output.unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// A command that must succeed; what it said.
pub(crate) async fn must(namespace: &str, arguments: &[&str]) -> String {
    let output = run(namespace, arguments).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "helm {}: {complained}{said}",
        arguments.join(" ")
    );
    said
}
