//! Steps that several scenarios begin with or come back to.

use std::time::Duration;

use fedsx_e2e::{Domain, Entry, Node, Span, eventually};
use serde_json::Value;

/// For what is under way already and needs no waiting of its own.
pub(crate) const SOON: Duration = Duration::from_secs(120);
/// A peer that was away is tried again after 5 to 15 seconds.
pub(crate) const BACK: Duration = Duration::from_secs(120);

/// A blog and an events site whose `main` follows the blog's `author`.
pub(crate) async fn pair() -> (Node, Node) {
    let (blog, events) = tokio::join!(Node::blog(), Node::events());
    events.follow("main", &blog.actor("author")).await;
    (blog, events)
}

/// Of some entries, the names of what was created.
pub(crate) fn names(entries: &[Entry]) -> Vec<String> {
    created(entries).map(|entry| entry.name().to_owned()).collect()
}

/// Of some entries, the CIDs of what was created for the public.
pub(crate) fn cids(entries: &[Entry]) -> Vec<String> {
    created(entries)
        .filter(|entry| entry.public)
        .map(|entry| entry.cid.clone())
        .collect()
}

fn created(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|entry| entry.verb() == "Create")
}

/// Waits until a domain has received exactly these creations of a remote actor, in this order.
pub(crate) async fn arrive(at: &Domain, from: &str, expected: &[String], within: Duration) {
    eventually(
        &format!("{} receives {} of {from}", at.origin(), expected.len()),
        within,
        async || {
            let received = names(&at.received(from).await);
            (received == expected)
                .then_some(())
                .ok_or_else(|| format!("{} received: {received:?}", received.len()))
        },
    )
    .await;
}

/// The spans from the root of the trace down to one; none while a parent is missing.
pub(crate) fn way_to_root(spans: &[Span], leaf: &Span) -> Option<Vec<Span>> {
    let mut way = vec![leaf.clone()];
    while let Some(last) = way.last().filter(|span| !span.parent_id.is_empty()) {
        way.push(spans.iter().find(|span| span.span_id == last.parent_id)?.clone());
    }
    way.reverse();
    Some(way)
}

/// The flow of a behaviour on an activity (its CID or id), once it stands so.
pub(crate) async fn flow(domain: &Domain, behaviour: &str, activity: &str, status: &str) -> Value {
    let list = ["flows", "list", "--behaviour", behaviour, "--activity", activity];
    let name = format!("{behaviour} is {status} at {}", domain.origin());
    let id = eventually(&name, SOON, async || {
        let told = domain.json(&list).await;
        let found = &told["flows"][0];
        let is_so = found["status"] == *status;
        let id = found["id"].as_str().filter(|_| is_so).map(str::to_owned);
        id.ok_or_else(|| told.to_string())
    })
    .await;
    domain.json(&["flows", "show", &id]).await
}

/// The same, once it has completed.
pub(crate) async fn over(domain: &Domain, behaviour: &str, activity: &str) -> Value {
    flow(domain, behaviour, activity, "completed").await
}

/// Everything that local actors said, whoever they are.
pub(crate) async fn said(domain: &Domain) -> Vec<Value> {
    let log = domain.log().await.into_iter();
    let said = log.filter(|entry| entry.stream.starts_with("outbox/"));
    said.map(|entry| entry.activity).collect()
}

/// Gives a domain one more behaviour, while it runs.
pub(crate) async fn behaves(domain: &Domain, behaviour: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let behaviours = folder.path().join("behaviours");
    std::fs::create_dir_all(&behaviours).expect("a folder");
    std::fs::write(behaviours.join("behaviour.yaml"), behaviour).expect("a file");
    let folder = folder.path().display().to_string();
    domain.run(&["genesis", "apply", &folder]).await.assert_code(0);
}

/// Waits until a delivery of a domain's has come to nothing so often.
pub(crate) async fn tried(domain: &Domain, times: u32) {
    eventually("it was tried in vain", BACK, async || {
        let ledger = domain.deliveries().await;
        let tried = ledger.iter().map(|row| row.attempts).max();
        (tried >= Some(times))
            .then_some(())
            .ok_or(format!("{tried:?} attempts"))
    })
    .await;
}
