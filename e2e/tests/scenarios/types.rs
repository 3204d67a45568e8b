//! Types of peers: fetched by their CIDs, and what is checked by them.

use fedsx_e2e::{Answer, Domain, Node, Shown, Stranger, eventually, get_as, settle};
use fedsx_kernel::{
    activity::PUBLIC,
    canonical,
    cid::Cid,
    definition::{Definition, Kind, TYPE_DOC},
};
use serde_json::{Value, json};

use crate::steps::{SOON, names};

/// A type of posts whose title is short and not the body again.
struct Type {
    record: Value,
    body: Vec<u8>,
    cid: Cid,
}

impl Type {
    fn post() -> Self {
        let fields = json!([
            {"name": "name", "type": "string", "required": true, "maxLength": 20},
            {"name": "content", "type": "string", "required": true},
        ]);
        let written = json!({
            "name": "Post", "instanceType": "Article", "fields": fields,
            "refinementSchema": "object.name != object.content",
        });
        let written = written.as_object().unwrap().clone();
        let record = Value::Object(Definition::complete(Kind::Type, written).unwrap());
        let body = canonical::to_vec(&record).unwrap();
        Self {
            cid: Cid::of_canonical(&body),
            record,
            body,
        }
    }

    fn path(&self) -> String {
        format!("/types/{}", self.cid)
    }

    /// A `Create` of a post for the public; the log puts its domain's name for the type.
    fn create(&self, name: &str, content: &str) -> Value {
        json!({
            "type": "Create", "to": [PUBLIC],
            "object": {"type": "Post", "typeCid": self.cid, "name": name, "content": content},
        })
    }

    /// The same, from one of a stranger's actors to a domain.
    async fn posted(&self, by: &Stranger, to: &Domain, name: &str, content: &str) -> Answer {
        let mut draft = self.create(name, content);
        draft["to"] = json!([to.base()]);
        by.post(to, &by.seal("mallory", &draft)).await
    }

    async fn defined_at(&self, domain: &Domain) {
        let draft = json!({"type": "DefineType", "to": [PUBLIC], "object": self.record});
        domain.publish_draft(None, &draft).await.assert_code(0);
    }
}

/// The peers' rows of `fedsx types list`: name, origin, CID.
async fn listed(domain: &Domain) -> Vec<(String, String, String)> {
    let told = domain.json(&["types", "list"]).await;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| (text(row, "name"), text(row, "origin"), text(row, "cid"));
    let rows = told.as_array().expect("a list").iter().map(row);
    rows.filter(|(_, origin, _)| !origin.is_empty()).collect()
}

async fn strict(bundle: &'static str) -> Node {
    let node = Node::stopped(bundle).with(&["--strict-object-schema"]);
    node.started().await
}

async fn publish(domain: &Domain, actor: &str, draft: &Value) {
    let mut draft = draft.clone();
    draft["cc"] = json!([format!("{}/followers", domain.actor(actor))]);
    domain.publish_draft(Some(actor), &draft).await.assert_code(0);
}

async fn receives(at: &Domain, from: &str, name: &str) {
    let what = format!("{} receives {name:?}", at.origin());
    eventually(&what, SOON, async || {
        let received = names(&at.received(from).await);
        let is_there = received.iter().any(|received| received == name);
        is_there.then_some(()).ok_or_else(|| format!("{received:?}"))
    })
    .await;
}

#[tokio::test]
async fn a_type_goes_from_domain_to_domain_and_outlives_its_author() {
    let post = Type::post();
    let (mut blog, events, shop) = tokio::join!(Node::blog(), strict("events"), strict("events"));
    post.defined_at(&blog).await;
    let (author, main) = (blog.actor("author"), events.actor("main"));
    events.follow("main", &author).await;
    shop.follow("main", &main).await;

    // Of blog's type events knows nothing but what blog shows.
    assert_eq!(listed(&events).await, []);
    publish(&blog, "author", &post.create("Gig Night", "It was loud")).await;
    receives(&events, &author, "Gig Night").await;
    let from = |origin: &Domain| {
        vec![(
            "Post".to_owned(),
            origin.origin().to_string(),
            post.cid.to_string(),
        )]
    };
    assert_eq!(listed(&events).await, from(&blog));
    let served = get_as(&events.url(&post.path()), TYPE_DOC).await;
    assert_eq!(served.assert_status(200).body, post.body);
    let refused = blog
        .publish_draft(Some("author"), &post.create("Loud", "Loud"))
        .await;
    refused.assert_code(3).assert_says("refinement");
    let mallory = Stranger::new().await;
    let bad = post.posted(&mallory, &events, "Loud", "Loud").await;
    bad.assert_refused(422, "schema_refused");

    // Blog is gone, and shop gets its type from events.
    settle(&[&blog, &events, &shop]).await;
    blog.terminate().await;
    publish(&events, "main", &post.create("Another", "It was louder")).await;
    receives(&shop, &main, "Another").await;
    assert_eq!(listed(&shop).await, from(&events));
    let bad = post.posted(&mallory, &shop, "Loud", "Loud").await;
    bad.assert_refused(422, "schema_refused");
    for domain in [&*events, &*shop] {
        let log = domain.log().await;
        let remarks: Vec<_> = log.iter().flat_map(|entry| &entry.remarks).collect();
        assert!(remarks.iter().all(|remark| *remark == "defines"), "{remarks:?}");
    }
}

#[tokio::test]
async fn a_hostile_origin_gets_nothing_kept_and_hides_nothing() {
    let (post, blog, mallory) = (Type::post(), strict("blog").await, Stranger::new().await);
    let ask = async |name: &str| post.posted(&mallory, &blog, name, "It was loud").await;
    mallory.shows(&post.path(), Shown::Hang);
    ask("slow").await.assert_refused(503, "fetch_failed");
    // One CID each: what failed is not asked for again at once.
    for (name, bytes) in [
        ("wrong", post.body.iter().rev().copied().collect()),
        ("huge", vec![b' '; 64 << 20]),
        ("cut", post.body[1..].to_vec()),
    ] {
        let cid = Cid::of_canonical(name.as_bytes());
        mallory.shows(&format!("/types/{cid}"), Shown::Bytes(bytes));
        let mut draft = post.create(name, "It was loud");
        (draft["object"]["typeCid"], draft["to"]) = (json!(cid), json!([blog.base()]));
        let answer = mallory.post(&blog, &mallory.seal("mallory", &draft)).await;
        answer.assert_refused(422, "type_unknown");
    }
    assert_eq!(listed(&blog).await, []);

    let honest = Stranger::new().await;
    honest.shows(&post.path(), Shown::Bytes(post.body.clone()));
    let good = post.posted(&honest, &blog, "Gig Night", "It was loud").await;
    good.assert_status(202);
    let origin = honest.origin().to_string();
    assert_eq!(
        listed(&blog).await,
        [("Post".to_owned(), origin, post.cid.to_string())]
    );
    ask("at last").await.assert_status(202);
}

#[tokio::test]
async fn what_cannot_be_checked_passes_and_says_so_unless_the_domain_is_strict() {
    let (post, blog, mallory) = (Type::post(), Node::blog().await, Stranger::new().await);
    for (shown, name) in [
        (Shown::Status(404), "nowhere"),
        (Shown::Bytes(b"{}".to_vec()), "wrong"),
    ] {
        mallory.shows(&post.path(), shown);
        post.posted(&mallory, &blog, name, name).await.assert_status(202);
    }
    let received = blog.received(&mallory.actor("mallory")).await;
    assert_eq!(received.len(), 2);
    assert!(
        received
            .iter()
            .all(|entry| entry.remarks == ["validation_skipped"])
    );
    let metrics = String::from_utf8(blog.admin("/metrics").await.body.to_vec()).unwrap();
    assert!(
        metrics.contains(r#"fedsx_log_validation_skipped_total{stream="inbox"} 2"#),
        "{metrics}"
    );
    let strict = strict("blog").await;
    post.posted(&mallory, &strict, "wrong", "wrong")
        .await
        .assert_refused(422, "type_unknown");
}

#[tokio::test]
async fn a_domain_that_fetches_no_types_knows_those_that_its_operator_has_fetched() {
    let post = Type::post();
    let closed = Node::stopped("blog").with(&["--strict-object-schema", "--type-fetch", "false"]);
    let (blog, closed) = tokio::join!(Node::blog(), closed.started());
    post.defined_at(&blog).await;
    let mallory = Stranger::new().await;
    mallory.shows(&post.path(), Shown::Bytes(post.body.clone()));
    let ask = async |name: &str| post.posted(&mallory, &closed, name, "It was loud").await;
    ask("1").await.assert_refused(422, "type_fetch_disabled");

    let (cid, from) = (post.cid.to_string(), blog.origin().to_string());
    let fetch = ["types", "fetch", &cid, "--from", &from];
    let guarded = closed.run(&fetch).await.assert_code(1);
    guarded.assert_says("plain");
    let plain = ["--plain-peer", "http://127.0.0.1:*"];
    let fetched = closed.json(&[&fetch[..], &plain].concat()).await;
    let new = json!([{"name": "Post", "cid": post.cid, "new": true}]);
    assert_eq!(fetched, json!({"origin": from, "types": new}));
    let shown = closed.json(&["types", "show", &cid]).await;
    assert_eq!((&shown["record"], &shown["origin"]), (&post.record, &json!(from)));
    ask("2").await.assert_status(202);

    closed.json(&["types", "evict", &cid]).await;
    closed
        .run(&["types", "evict", &cid])
        .await
        .assert_code(3)
        .assert_says("no such type");
    ask("3").await.assert_refused(422, "type_fetch_disabled");
    // What a domain has defined itself is not a peer's to drop.
    blog.run(&["types", "evict", &cid])
        .await
        .assert_code(3)
        .assert_says("defined here");
    let unknown = Cid::of_canonical(b"nobody's").to_string();
    let missing = [&["types", "fetch", &unknown, "--from", &from][..], &plain].concat();
    closed.run(&missing).await.assert_code(1).assert_says("404");
}
