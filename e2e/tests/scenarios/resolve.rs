//! Two domains in one cluster: what they say names their public origins, which nobody resolves, and only the way of the bytes
//! is another.

use fedsx_e2e::{Certificate, Delivery, Domain, Node, eventually, settle};
use fedsx_kernel::{activity::PUBLIC, cid::Cid};
use serde_json::json;
use tempfile::TempDir;

use crate::steps::{BACK, SOON, arrive};

const BLOG: &str = "blog.example.org";
const EVENTS: &str = "events.example.org";

/// A blog that serves plain http, and an events site that serves TLS with a certificate for a name.
struct Cluster {
    blog: Node,
    events: Node,
    folder: TempDir,
}

impl Cluster {
    async fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let certificate = Certificate::write(folder.path(), name);
        let (blog, events) = (Node::inside("blog", BLOG), Node::inside("events", EVENTS));
        let to_blog = format!("{BLOG}=http://localhost:{}", blog.port());
        let authority = certificate.authority.display();
        let to_events = format!("{EVENTS}=https://localhost:{}?ca={authority}", events.port());
        let (certificate, key) = (
            certificate.certificate.display().to_string(),
            certificate.key.display().to_string(),
        );
        let events = events.with(&["--resolve", &to_blog]).with(&[
            "--listen-tls-certificate",
            &certificate,
            "--listen-tls-key",
            &key,
        ]);
        let blog = blog.with(&["--resolve", &to_events]);
        let (blog, events) = tokio::join!(blog.started(), events.started());
        Self { blog, events, folder }
    }
}

/// Waits until the ledger has a row like that.
async fn owes(domain: &Domain, what: &str, is_it: impl Fn(&Delivery) -> bool) {
    eventually(what, BACK, async || {
        let ledger = domain.deliveries().await;
        ledger
            .iter()
            .any(&is_it)
            .then_some(())
            .ok_or_else(|| format!("{ledger:?}"))
    })
    .await;
}

#[tokio::test]
async fn two_domains_of_a_cluster_federate_under_their_public_names() {
    let Cluster { blog, events, .. } = Cluster::start(EVENTS).await;
    let author = blog.actor("author");
    assert_eq!(author, "https://blog.example.org/actors/author");
    events.follow("main", &author).await;
    let article = json!({
        "type": "Create", "to": [PUBLIC], "cc": [format!("{author}/followers")],
        "object": {"type": "Article", "name": "Gig Night", "content": "Doors at eight."},
    });
    blog.publish_draft(Some("author"), &article).await.assert_code(0);
    arrive(&events, &author, &["Gig Night".to_owned()], SOON).await;
    settle(&[&blog, &events]).await;
    // The type of the article came from blog's origin.
    let types = events.json(&["types", "list"]).await;
    let fetched = types.as_array().expect("a list").iter();
    let fetched: Vec<_> = fetched
        .filter(|row| row["origin"] == "https://blog.example.org")
        .collect();
    assert!(fetched.iter().any(|row| row["name"] == "Article"), "{types}");
    // And back: the events site is followed by TLS.
    blog.follow("author", &events.actor("main")).await;
    let ledger = blog.deliveries().await;
    assert!(
        ledger
            .iter()
            .all(|row| row.inbox.starts_with("https://events.example.org/")),
        "{ledger:?}"
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_gets_nothing_until_it_is_renewed() {
    let Cluster { blog, events, folder } = Cluster::start("localhost").await;
    let main = events.actor("main");
    blog.json(&["follow", &main, "--actor", "author"]).await;
    owes(&blog, "the certificate is refused", |row| {
        row.cause.contains("certificate") && row.cause.contains("not valid for name")
    })
    .await;
    // Server and client read their files again: the one its certificate, the other its authority.
    Certificate::write(folder.path(), EVENTS);
    blog.follow("author", &main).await;
}

#[tokio::test]
async fn a_service_is_no_peer() {
    let Cluster { blog, events, folder } = Cluster::start(EVENTS).await;
    let port = events.port();
    let service = format!("http://localhost:{port}/actors/main");
    blog.json(&["follow", &service, "--actor", "author"]).await;
    owes(&blog, "plain http is refused", |row| {
        row.cause.contains("plain http") && row.cause.contains("localhost")
    })
    .await;
    let service = format!("https://localhost:{port}/actors/main");
    blog.json(&["follow", &service, "--actor", "author"]).await;
    owes(&blog, "a private address is refused", |row| {
        row.cause.contains("private, loopback or link-local")
    })
    .await;
    // A command that fetches by itself goes the same way, and no other.
    let cid = Cid::of_canonical(b"{}").to_string();
    let origin = events.origin().to_string();
    let listed = format!(
        "{EVENTS}=https://localhost:{port}?ca={}",
        folder.path().join("authority.pem").display()
    );
    let fetch = ["types", "fetch", &cid, "--from", &origin];
    let asked = blog.run(&[&fetch[..], &["--resolve", &listed]].concat()).await;
    asked.assert_code(1).assert_says("404");
    let wrong = blog
        .run(&[&fetch[..], &["--resolve", "events.example.org"]].concat())
        .await;
    wrong.assert_code(1).assert_says("names no service");
}

/// As `helm test` does, whose authority stands beside the system's.
#[tokio::test]
async fn a_domain_tests_itself_at_its_service_under_its_public_name() {
    let Cluster { events, folder, .. } = Cluster::start(EVENTS).await;
    let at_service = format!("{EVENTS}=https://localhost:{}", events.port());
    let flags = ["self-test", "--resolve", &at_service, "--timeout", "10"];
    let authorities = tempfile::tempdir().expect("a folder");
    let copied = std::fs::copy(
        folder.path().join("authority.pem"),
        authorities.path().join("ca.crt"),
    );
    copied.expect("the authority");
    let mut test = events.client(&flags);
    test.env("SSL_CERT_DIR", authorities.path());
    let tested = tokio::task::spawn_blocking(move || test.output());
    let tested = tested.await.expect("a task").expect("the program");
    let told = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{told}");
    assert!(
        told.contains("https://events.example.org/ is https://events.example.org/"),
        "{told}"
    );
    let stranger = events.run(&flags).await.assert_code(1);
    assert!(stranger.stdout.contains("certificate"), "{stranger}");
}
