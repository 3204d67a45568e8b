//! How others find a domain and its actors, and what they can page through.

use fedsx_e2e::{Node, Stranger, eventually, get, settle};
use serde_json::Value;

use crate::steps::SOON;

/// More than one page of any collection.
const MANY: usize = 60;

#[tokio::test]
async fn actors_are_found_by_their_documents_and_names() {
    let blog = Node::blog().await;
    let (base, author) = (blog.get("/").await, blog.get("/actors/author").await);
    assert_eq!(author.content_type(), "application/activity+json");
    let (base, author) = (base.assert_status(200).json(), author.assert_status(200).json());
    assert_eq!(
        (&base["type"], &base["id"]),
        (&"Service".into(), &blog.base().into())
    );
    assert_eq!(
        (&author["type"], &author["id"]),
        (&"Person".into(), &blog.actor("author").into())
    );
    assert_eq!(author["endpoints"]["sharedInbox"], blog.url("/inbox"));
    assert_eq!(
        author["assertionMethod"][0]["id"],
        blog.actor("author") + "#ed25519-key"
    );
    blog.get("/actors/nobody").await.assert_refused(404, "not_found");

    let acct = format!("acct:author@{}", blog.origin().authority());
    for resource in [acct, blog.actor("author")] {
        let found = blog
            .get(&format!("/.well-known/webfinger?resource={resource}"))
            .await;
        assert_eq!(found.assert_status(200).content_type(), "application/jrd+json");
        let found = found.json();
        let links = found["links"].as_array().expect("links");
        let own = links
            .iter()
            .find(|link| link["rel"] == "self")
            .expect("a link to the actor");
        assert_eq!(own["href"], author["id"]);
    }
    let unknown = format!(
        "/.well-known/webfinger?resource=acct:nobody@{}",
        blog.origin().authority()
    );
    blog.get(&unknown).await.assert_refused(404, "not_found");
    blog.get("/.well-known/webfinger")
        .await
        .assert_refused(400, "malformed");
}

#[tokio::test]
async fn the_node_tells_what_it_is() {
    let blog = Node::blog().await;
    let links = blog.get("/.well-known/nodeinfo").await.assert_status(200).json();
    let href = links["links"][0]["href"].as_str().expect("a link");
    let info = get(href).await.assert_status(200).json();
    assert_eq!(
        (&info["version"], &info["protocols"][0]),
        (&"2.1".into(), &"activitypub".into()),
        "{info}"
    );
    assert!(
        info["software"]["name"].is_string() && info["usage"].is_object(),
        "{info}"
    );
}

#[tokio::test]
async fn health_and_metrics_are_told_apart_from_peers() {
    let blog = Node::blog().await;
    for path in ["/livez", "/readyz", "/startupz"] {
        blog.admin(path).await.assert_status(200);
    }
    let stranger = Stranger::new().await;
    let activity = stranger.note("mallory", "Hello", &[&blog.base()]);
    stranger
        .letter(&blog, &activity)
        .forged()
        .by_key("http://127.0.0.1:1/#key")
        .unsigned()
        .with_body("{}")
        .post()
        .await
        .assert_refused(401, "missing_signature");
    let metrics = blog.admin("/metrics").await.assert_status(200).to_string();
    assert!(
        metrics.contains("missing_signature"),
        "the code of a refusal is the label of its metric: {metrics}"
    );
    assert!(!metrics.contains("mallory"), "metrics carry no ids");
    for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
        blog.get(path).await.assert_status(404);
    }
}

/// Reads a collection from its first page to its last.
async fn items(url: &str) -> (Vec<Value>, usize) {
    let collection = get(url).await.assert_status(200).json();
    let mut items = Vec::new();
    let mut pages = 0;
    let mut next = collection["first"].clone();
    while let Some(url) = next.as_str().map(str::to_owned) {
        let page = get(&url).await.assert_status(200).json();
        let own = page
            .get("orderedItems")
            .or(page.get("items"))
            .and_then(Value::as_array);
        items.extend(own.unwrap_or_else(|| panic!("{page}")).iter().cloned());
        next = page["next"].clone();
        pages += 1;
        assert!(pages <= MANY, "{url} never ends");
    }
    assert_eq!(collection["totalItems"], items.len(), "{collection}");
    (items, pages)
}

#[tokio::test]
async fn an_outbox_and_the_activities_are_paged_newest_first() {
    let blog = Node::blog().await;
    let mut publisher = blog.publisher("author");
    for number in 0..MANY {
        publisher
            .publish(&format!("post {number}"))
            .await
            .expect("a publish");
    }
    settle(&[&blog]).await;
    let mut log = blog.log().await;
    log.reverse();
    let expected = |stream: Option<&str>| -> Vec<String> {
        let entries = log
            .iter()
            .filter(|entry| entry.public && stream.is_none_or(|stream| entry.stream == stream));
        entries.map(|entry| entry.id.clone()).collect()
    };
    let ids = |items: Vec<Value>| -> Vec<String> {
        items
            .iter()
            .map(|item| item["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    let (outbox, pages) = items(&blog.url("/actors/author/outbox")).await;
    assert!(pages > 1);
    assert_eq!(
        ids(outbox),
        expected(Some(&format!("outbox/{}", blog.actor("author"))))
    );
    let (activities, pages) = items(&blog.url("/activities")).await;
    assert!(pages > 1);
    assert_eq!(ids(activities), expected(None));
}

#[tokio::test]
async fn who_missed_something_reads_on_after_what_it_has() {
    let blog = Node::blog().await;
    let mut publisher = blog.publisher("author");
    let mut published = Vec::new();
    for number in 0..5 {
        published.push(
            publisher
                .publish(&format!("post {number}"))
                .await
                .expect("a publish"),
        );
    }
    let outbox = blog.outbox("author").await;
    for pair in outbox.windows(2) {
        assert_eq!(
            pair[1].activity["prev"],
            pair[0].cid.as_str(),
            "each names the one before"
        );
    }
    let page = blog
        .get(&format!("/actors/author/outbox?after={}", published[1].cid))
        .await;
    let page = page.assert_status(200).json();
    let ids: Vec<_> = page["orderedItems"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| &item["id"])
        .collect();
    assert_eq!(
        ids,
        published[2..]
            .iter()
            .map(|published| published.id.as_str())
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn followers_are_paged_and_each_is_listed_once() {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let author = blog.actor("author");
    for number in 0..MANY {
        let follow = stranger.follow(&format!("fan{number}"), &author);
        // A server that brings so many new actors at once may be told to slow down.
        eventually("the follow is taken", SOON, async || {
            let answer = stranger.post(&blog, &follow).await;
            (answer.status == 202).then_some(()).ok_or(answer)
        })
        .await;
    }
    settle(&[&blog]).await;
    let (mut followers, pages) = items(&blog.url("/actors/author/followers")).await;
    assert!(pages > 1);
    followers.sort_by_key(ToString::to_string);
    followers.dedup();
    assert_eq!(followers.len(), MANY);
    assert!(followers.contains(&stranger.actor("fan59").into()));
    let (following, _) = items(&blog.url("/actors/author/following")).await;
    assert!(following.is_empty());
}
