//! `fedsx self-test` shows that a domain works, or says where it does not; `fedsx toolbox` waits for commands.

use std::process::{Command, Stdio};

use fedsx_e2e::{Domain, Node, Output, Port, binary, settle};
use serde_json::Value;

use crate::steps::{pair, said};

/// The steps of a self-test, each with whether it passed.
fn steps(output: &Output) -> Vec<(String, bool)> {
    let told = output.json();
    let step = |step: &Value| {
        let name = step["step"].as_str().unwrap_or_default().to_owned();
        (name, step["passed"] == true)
    };
    told["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(step)
        .collect()
}

/// Runs the self-test, all of whose steps have to pass.
pub(crate) async fn passes(domain: &Domain, flags: &[&str]) -> Vec<String> {
    let output = domain.run(&[&["self-test"], flags].concat()).await.assert_code(0);
    let steps = steps(&output);
    assert!(steps.iter().all(|(_, passed)| *passed), "{output}");
    steps.into_iter().map(|(step, _)| step).collect()
}

#[tokio::test]
async fn a_domain_shows_again_and_again_that_it_works_and_leaves_nothing() {
    let (blog, events) = pair().await;
    let own = passes(&blog, &[]).await;
    assert_eq!(
        own.last().map(String::as_str),
        Some("what was published is deleted")
    );
    let calendar = events.actor("main");
    for _ in 0..2 {
        let peer = events.origin().as_str();
        let all = passes(&blog, &["--peer", peer, "--calendar", &calendar]).await;
        assert_eq!(all.len(), own.len() + 7, "{all:#?}");
    }
    settle(&[&blog, &events]).await;
    let of = |said: &[Value], verb: &str| said.iter().filter(|said| said["type"] == verb).count();
    let said = said(&events).await;
    assert_eq!(
        (of(&said, "Add"), of(&said, "Remove")),
        (2, 2),
        "what was taken up is given up"
    );
}

#[tokio::test]
async fn what_does_not_work_is_named_with_what_to_look_at() {
    let blog = Node::blog().await;
    let nobody = Port::reserve().origin();
    let flags = ["self-test", "--peer", &nobody, "--timeout", "15"];
    let output = blog.run(&flags).await.assert_code(1);
    let told = output.json();
    let steps = told["steps"].as_array().expect("steps");
    let failed = steps
        .iter()
        .find(|step| step["passed"] == false)
        .expect("a failure");
    assert!(
        failed["step"].as_str().unwrap().ends_with(" takes it"),
        "{failed}"
    );
    assert!(
        failed["detail"].as_str().unwrap().starts_with("pending after "),
        "{failed}"
    );
    assert!(
        failed["lookAt"].as_str().unwrap().contains("fedsx peers probe"),
        "{failed}"
    );
    output.assert_says("the self-test failed at");
    let wrong = ["self-test", "--gateway", &nobody, "--timeout", "5"];
    let output = blog.run(&wrong).await.assert_code(1);
    output.assert_says("\"the gateway answers\"");
}

#[tokio::test]
async fn a_toolbox_says_what_there_is_to_run_and_ends_when_it_is_told_to() {
    let mut toolbox = tokio::process::Command::from(Command::new(binary()))
        .arg("toolbox")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program");
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(
        toolbox.stdout.take().expect("its output"),
    ));
    let mut told = String::new();
    while let Some(line) = lines.next_line().await.expect("a line") {
        told.push_str(&line);
        if line.contains("SIGTERM") {
            break;
        }
    }
    for command in ["fedsx peers", "fedsx trace", "fedsx self-test"] {
        assert!(told.contains(command), "{told}");
    }
    assert!(!told.contains("fedsx gateway"), "{told}");
    let id = toolbox.id().expect("a process").to_string();
    let killed = Command::new("sh")
        .args(["-c", "kill -s TERM \"$0\"", &id])
        .status();
    assert!(killed.expect("a shell").success());
    let ended = toolbox.wait().await.expect("its end");
    assert_eq!(ended.code(), Some(0));
}
