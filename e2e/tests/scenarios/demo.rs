//! `fedsx demo`: the story that a newcomer sees first.

use std::path::Path;

use fedsx_e2e::{Node, Output, Port, fedsx};

async fn demo(data: &Path, blog: u16, events: u16) -> Output {
    let (blog, events) = (blog.to_string(), events.to_string());
    let data = data.to_string_lossy();
    fedsx(&[
        "demo",
        "--exit",
        "--data",
        &data,
        "--blog-port",
        &blog,
        "--events-port",
        &events,
    ])
    .await
}

#[tokio::test]
async fn the_story_is_told_and_continues_on_the_same_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut blog = Node::on("blog", Port::reserve(), folder.path().join("blog"));
    let mut events = Node::on("events", Port::reserve(), folder.path().join("events"));
    let ports = (blog.port(), events.port());

    let first = demo(folder.path(), ports.0, ports.1).await.assert_code(0);
    let steps = [
        "follows",
        "accepts",
        "Gig Night",
        "sealed",
        "logged",
        "fanned out",
        "delivered",
        "verified",
        "main",
        "listed: Gig Night",
    ];
    for told in steps
        .iter()
        .copied()
        .chain([blog.origin().as_str(), events.origin().as_str()])
    {
        assert!(first.stdout.contains(told), "{told:?} is not told: {first}");
    }
    let heads = heads(&mut blog, &mut events).await;

    let second = demo(folder.path(), ports.0, ports.1).await.assert_code(0);
    assert!(second.stdout.contains("Gig Night"), "{second}");
    assert_eq!(
        self::heads(&mut blog, &mut events).await,
        heads,
        "the second demo changed something"
    );
}

/// The heads of two domains that do not run now.
async fn heads(blog: &mut Node, events: &mut Node) -> Vec<u64> {
    let mut heads = Vec::new();
    for node in [blog, events] {
        node.start().await;
        heads.push(node.head().await);
        assert!(node.terminate().await.success());
    }
    heads
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_step_that_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let (blog, events) = (Port::reserve(), Port::reserve());
    let _taken = std::net::TcpListener::bind(events.address()).expect("a free port");
    let failed = demo(folder.path(), blog.number(), events.number()).await;
    assert_ne!(failed.code, 0, "{failed}");
    failed
        .assert_says("start events")
        .assert_says(&events.address().to_string());
}
