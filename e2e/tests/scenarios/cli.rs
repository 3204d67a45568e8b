//! The command line: exit codes, and errors that name what is wrong.

use std::process::Stdio;

use fedsx_e2e::{Node, Port, fedsx};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::timeout,
};

use crate::steps::SOON;

#[tokio::test]
async fn usage_is_shown_and_wrong_usage_is_2() {
    let commands: &[&[&str]] = &[
        &[],
        &["all"],
        &["log"],
        &["gateway"],
        &["projection"],
        &["delivery"],
        &["demo"],
        &["bench"],
        &["actor"],
        &["actor", "create"],
        &["actor", "list"],
        &["actor", "show"],
        &["blobs"],
        &["blobs", "put"],
        &["blobs", "get"],
        &["publish"],
        &["follow"],
        &["unfollow"],
        &["followers", "list"],
        &["followers", "accept"],
        &["followers", "reject"],
        &["entries"],
        &["trace"],
        &["self-test"],
        &["toolbox"],
        &["deliveries"],
        &["peers"],
        &["views"],
        &["views", "skip"],
        &["relations"],
        &["verify"],
        &["snapshots"],
        &["snapshots", "list"],
        &["snapshots", "take"],
        &["snapshots", "export"],
        &["snapshots", "import"],
        &["snapshots", "drop"],
        &["genesis"],
        &["genesis", "check"],
        &["genesis", "lock"],
        &["genesis", "diff"],
        &["genesis", "apply"],
        &["types"],
        &["types", "list"],
        &["types", "show"],
        &["types", "fetch"],
        &["types", "evict"],
    ];
    for command in commands {
        let told = fedsx(&[*command, &["--help"]].concat()).await.assert_code(0);
        assert!(told.stdout.contains("Usage:"), "{told}");
    }
    fedsx(&["fly"]).await.assert_code(2).assert_says("fly");
    fedsx(&["publish", "--nonsense"])
        .await
        .assert_code(2)
        .assert_says("--nonsense");
    fedsx(&["follow"]).await.assert_code(2).assert_says("<URL>");
    fedsx(&["publish", "--actor", "author"])
        .await
        .assert_code(2)
        .assert_says("--content");
}

#[tokio::test]
async fn where_no_domain_runs_it_is_4() {
    let mut blog = Node::stopped("blog");
    blog.run(&["entries"])
        .await
        .assert_code(4)
        .assert_says("no domain answers");
    blog.start().await;
    blog.run(&["entries"]).await.assert_code(0);
    // What a killed process leaves behind points nowhere.
    blog.kill9();
    assert!(blog.data().join("connect.json").exists());
    blog.run(&["entries"])
        .await
        .assert_code(4)
        .assert_says("no domain answers");
    blog.start().await;
    assert!(blog.terminate().await.success());
    blog.run(&["entries"])
        .await
        .assert_code(4)
        .assert_says("no domain answers");
    fedsx(&["entries", "--connect", "http://127.0.0.1:1"])
        .await
        .assert_code(4)
        .assert_says("127.0.0.1:1");
}

#[tokio::test]
async fn what_the_domain_refuses_is_3() {
    let blog = Node::blog().await;
    let head = blog.head().await;
    let refused: [&[&str]; 7] = [
        &["actor", "create", "author"],
        &["actor", "create", "No Name"],
        &["actor", "show", "nobody"],
        &["publish", "--actor", "nobody", "--name", "x"],
        &["unfollow", "http://127.0.0.1:1/"],
        &["followers", "accept", "http://127.0.0.1:1/"],
        &["follow", "http://127.0.0.1:1/", "--actor", "nobody"],
    ];
    for command in refused {
        let told = blog.run(command).await.assert_code(3);
        assert!(
            told.stderr.starts_with("fedsx: ") && told.stdout.is_empty(),
            "{told}"
        );
    }
    blog.run(&["actor", "create", "author"])
        .await
        .assert_says("author");
    let token = ["entries", "--connect", &connect(&blog), "--token", "wrong"];
    fedsx(&token).await.assert_code(3);
    assert_eq!(blog.head().await, head);
}

/// The URL of a node's internal gRPC server.
fn connect(node: &Node) -> String {
    let file = std::fs::read(node.data().join("connect.json")).expect("connect.json");
    let connection: Value = serde_json::from_slice(&file).expect("JSON");
    connection["grpc"].as_str().expect("a URL").to_owned()
}

#[tokio::test]
async fn a_wrong_configuration_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fedsx.toml");
    std::fs::write(&file, "origin = \"http://127.0.0.1:1\"\nbundel = \"blog\"\n").expect("a file");
    let file = file.to_string_lossy();
    fedsx(&["all", "--config", &file])
        .await
        .assert_code(1)
        .assert_says("bundel");
    let data = folder.path().join("data");
    let data = data.to_string_lossy();
    let all = ["all", "--data", &data];
    fedsx(&all)
        .await
        .assert_code(1)
        .assert_says("`origin` is missing");
    let origin = [&all[..], &["--origin", "blog.example", "--bundle", "blog"]].concat();
    fedsx(&origin).await.assert_code(1).assert_says("`origin`");
    let bundle = [&all[..], &["--origin", "http://127.0.0.1:1", "--bundle", "shop"]].concat();
    fedsx(&bundle)
        .await
        .assert_code(1)
        .assert_says("blog, core, events");
    let peer = [
        "--origin",
        "http://127.0.0.1:1",
        "--bundle",
        "blog",
        "--plain-peer",
        "nonsense",
    ];
    fedsx(&[&all[..], &peer].concat())
        .await
        .assert_code(1)
        .assert_says("nonsense");
}

#[tokio::test]
async fn a_folder_belongs_to_one_process_and_one_origin() {
    let mut blog = Node::blog().await;
    let data = blog.data().display().to_string();
    let port = Port::reserve();
    let other = [
        "all",
        "--origin",
        &port.origin(),
        "--bundle",
        "blog",
        "--data",
        &data,
    ];
    fedsx(&other).await.assert_code(1).assert_says("another process");
    let head = blog.head().await;
    assert!(blog.terminate().await.success());
    fedsx(&other)
        .await
        .assert_code(1)
        .assert_says(blog.origin().as_str());
    blog.start().await;
    assert_eq!(blog.head().await, head);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let port = Port::reserve();
    let _taken = std::net::TcpListener::bind(port.address()).expect("a free port");
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let all = [
        "all",
        "--origin",
        &port.origin(),
        "--bundle",
        "blog",
        "--data",
        &data.to_string_lossy(),
    ];
    fedsx(&all)
        .await
        .assert_code(1)
        .assert_says(&port.address().to_string());
}

#[tokio::test]
async fn every_command_speaks_json() {
    let blog = Node::blog().await;
    let made = blog
        .json(&[
            "actor",
            "create",
            "news",
            "--type",
            "group",
            "--display-name",
            "The news",
        ])
        .await;
    assert_eq!(made["id"], blog.actor("news").as_str());
    let actors = blog.json(&["actor", "list"]).await;
    let names: Vec<_> = actors
        .as_array()
        .expect("a list")
        .iter()
        .map(|actor| &actor["name"])
        .collect();
    assert!(
        names.contains(&&"author".into()) && names.contains(&&"news".into()),
        "{actors}"
    );
    let shown = blog.json(&["actor", "show", "news"]).await;
    assert_eq!(
        (&shown["type"], &shown["name"]),
        (&"Group".into(), &"The news".into())
    );
    assert_eq!(
        shown,
        blog.get("/actors/news").await.json(),
        "what is shown is what peers see"
    );
    let published = blog.publish("news", "Hello").await;
    let log = blog.run(&["entries", "-n", "1"]).await.assert_code(0).json();
    assert_eq!(
        (&log["position"], &log["cid"]),
        (&published.position.into(), &published.cid.as_str().into())
    );
    assert_eq!(blog.json(&["followers", "list"]).await, Value::Array(vec![]));
    assert_eq!(
        blog.json(&["deliveries"]).await["deliveries"],
        Value::Array(vec![])
    );
    assert_eq!(blog.json(&["peers"]).await, Value::Array(vec![]));
}

#[tokio::test]
async fn the_log_can_be_followed() {
    let blog = Node::blog().await;
    let before = blog.publish("author", "Before").await;
    let mut command = tokio::process::Command::from(blog.client(&["entries", "-n", "1", "--follow"]));
    let mut following = command
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(following.stdout.take().expect("its output")).lines();
    let mut next = async || {
        let line = timeout(SOON, lines.next_line())
            .await
            .expect("a line in time")
            .expect("its output");
        serde_json::from_str::<Value>(&line.expect("one more line")).expect("JSON")["cid"].clone()
    };
    assert_eq!(next().await, before.cid.as_str());
    for name in ["One", "Two"] {
        let published = blog.publish("author", name).await;
        assert_eq!(next().await, published.cid.as_str());
    }
}
