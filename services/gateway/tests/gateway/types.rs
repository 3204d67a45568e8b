//! Types: served by their CIDs, and fetched from the origin of who names them.

use fedsx_kernel::{canonical, cid::Cid};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    domain::{Domain, PUBLIC, body},
    letter::Letter,
    peer::{Page, Peer},
};

const ALICE: &str = "https://events.example/actors/alice";
const TYPE_DOC: &str = "application/vnd.fed-sx.type-doc";

/// A type whose objects have a title of at most five letters.
struct Type {
    name: String,
    body: String,
    cid: Cid,
}

impl Type {
    fn new(name: &str, parent: Option<&Self>) -> Self {
        let mut record = json!({
            "name": name,
            "fields": [{"name": "title", "type": "string", "required": true, "maxLength": 5}],
        });
        if let Some(parent) = parent {
            record["instanceType"] = parent.cid.as_str().into();
        }
        let body = canonical::to_vec(&record).unwrap();
        Self {
            name: name.to_owned(),
            cid: Cid::of_canonical(&body),
            body: String::from_utf8(body).unwrap(),
        }
    }

    fn path(&self) -> String {
        format!("/types/{}", self.cid)
    }

    fn object(&self, title: &str) -> Value {
        json!({"type": self.name, "typeCid": self.cid, "title": title})
    }

    fn shown_by(&self, peer: &Peer) {
        peer.answers(&self.path(), page(&self.body));
    }
}

fn page(body: &str) -> Page {
    Page::Document {
        content_type: TYPE_DOC,
        body: body.to_owned(),
    }
}

fn letter(domain: &Domain, peer: &Peer, object: Value) -> Letter {
    let draft = json!({"type": "Create", "object": object, "to": [ALICE]});
    Letter::new(domain, peer, &peer.seal("bob", &draft))
}

async fn strict() -> Domain {
    Domain::with(|settings| settings.strict_object_schema = true).await
}

/// What is remarked of the last activity that bob sent.
async fn remarks(domain: &Domain, peer: &Peer) -> Vec<String> {
    let entries = domain.stream(&format!("inbox/{}", peer.actor("bob"))).await;
    entries.last().unwrap().meta.clone().unwrap().remarks
}

#[tokio::test]
async fn a_type_is_served_as_its_bytes_and_as_what_people_read() {
    let domain = Domain::new().await;
    let post = Type::new("Post", None);
    let record: Value = serde_json::from_str(&post.body).unwrap();
    let draft = json!({"type": "DefineType", "to": [PUBLIC], "object": record});
    assert_eq!(body(&domain.publish("", &draft).await)["object"], record);

    let bytes = domain.get_as(&post.path(), TYPE_DOC).await;
    bytes.assert_status(200);
    assert_eq!(bytes.header("content-type"), TYPE_DOC);
    assert_eq!(Cid::of_canonical(&bytes.body), post.cid);
    for accept in ["*/*", "application/json", "text/html,*/*;q=0.8"] {
        let readable = domain.get_as(&post.path(), accept).await;
        assert_eq!(readable.header("content-type"), "application/json");
        let shown = readable.json();
        assert_eq!(shown["record"], record);
        assert_eq!(shown["typeCid"], post.cid.as_str());
        assert_eq!(shown["id"], format!("https://events.example{}", post.path()));
        assert_ne!(readable.header("etag"), bytes.header("etag"));
        assert_eq!(
            (readable.header("vary"), readable.header("cache-control")),
            ("Accept", "public, max-age=31536000, immutable")
        );
    }
    domain
        .get(&Type::new("Other", None).path())
        .await
        .assert_refused(404, "not_found");
    domain.get("/types/bafy").await.assert_refused(404, "not_found");
}

#[tokio::test]
async fn a_reader_that_has_it_is_not_sent_it_again() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let post = Type::new("Post", None);
    post.shown_by(&peer);
    letter(&domain, &peer, post.object("short"))
        .send(&domain)
        .await
        .assert_status(202);
    // A peer's type that is kept is served as our own.
    let tag = domain
        .get_as(&post.path(), TYPE_DOC)
        .await
        .header("etag")
        .to_owned();
    let ask = |held: &str| {
        let mut letter = Letter::get(
            &domain,
            &peer,
            "",
            &format!("https://events.example{}", post.path()),
        );
        letter.signed = false;
        letter.header("accept", TYPE_DOC).header("if-none-match", held)
    };
    for held in [tag.clone(), format!("\"a\", W/{tag}"), "*".to_owned()] {
        let answer = ask(&held).send(&domain).await;
        answer.assert_status(304);
        assert_eq!((answer.body.len(), answer.header("etag")), (0, tag.as_str()));
        assert_eq!(answer.header("vary"), "Accept");
    }
    ask("\"a\"").send(&domain).await.assert_status(200);
}

#[tokio::test]
async fn a_type_is_fetched_once_and_objects_are_checked_by_it() {
    for domain in [Domain::new().await, strict().await] {
        let peer = Peer::start().await;
        let post = Type::new("Post", None);
        post.shown_by(&peer);
        let good = ["a", "b", "c", "d", "e"].map(|title| letter(&domain, &peer, post.object(title)));
        let sent = good.iter().map(|letter| letter.send(&domain));
        for answer in join_all(sent).await {
            answer.assert_status(202);
        }
        letter(&domain, &peer, post.object("too long"))
            .send(&domain)
            .await
            .assert_refused(422, "schema_refused");
        assert_eq!(peer.gets(&post.path()), 1);
        assert!(remarks(&domain, &peer).await.is_empty());
        assert_eq!(
            domain.peer_types().await,
            [("Post".to_owned(), peer.origin.to_string())]
        );
    }
}

#[tokio::test]
async fn what_stands_behind_a_type_is_fetched_too() {
    let (domain, peer) = (strict().await, Peer::start().await);
    let mut chain = vec![Type::new("Type0", None)];
    for number in 1..9 {
        chain.push(Type::new(&format!("Type{number}"), chain.last()));
    }
    for one in &chain {
        one.shown_by(&peer);
    }
    let longest = chain.get(7).unwrap();
    letter(&domain, &peer, longest.object("short"))
        .send(&domain)
        .await
        .assert_status(202);
    assert_eq!(domain.peer_types().await.len(), 8);
    letter(&domain, &peer, chain.get(8).unwrap().object("short"))
        .send(&domain)
        .await
        .assert_refused(422, "schema_refused");
}

#[tokio::test]
async fn what_an_origin_shows_instead_is_not_kept_and_not_asked_for_again_at_once() {
    let post = Type::new("Post", None);
    let unsound = canonical::to_vec(&json!({"name": "Post", "fields": 7})).unwrap();
    let unsound = Type {
        name: "Post".to_owned(),
        cid: Cid::of_canonical(&unsound),
        body: String::from_utf8(unsound).unwrap(),
    };
    let other = Type::new("Other", None);
    let huge = "x".repeat(65 << 10);
    let cases = [
        (&post, Page::Status(404), 422, "type_unknown", "not_found", 30),
        (&post, page(&other.body), 422, "type_unknown", "wrong_bytes", 30),
        (&post, page(&huge), 422, "type_unknown", "too_large", 30),
        (&unsound, page(&unsound.body), 422, "type_unknown", "unsound", 30),
        (&post, Page::Status(500), 503, "fetch_failed", "fetch_failed", 5),
    ];
    let (domain, peer) = (strict().await, Peer::start().await);
    for (of, page, status, code, outcome, seconds) in cases {
        peer.answers(&of.path(), page);
        let gets = peer.gets(&of.path());
        for title in ["a", "b"] {
            letter(&domain, &peer, of.object(title))
                .send(&domain)
                .await
                .assert_refused(status, code);
        }
        assert_eq!(peer.gets(&of.path()), gets + 1, "{outcome}");
        let counted = format!("fedsx_gateway_type_fetches_total{{outcome=\"{outcome}\"}} 1");
        assert!(domain.metrics().contains(&counted), "{}", domain.metrics());
        domain.later(seconds);
    }
    assert!(domain.peer_types().await.is_empty());
    post.shown_by(&peer);
    letter(&domain, &peer, post.object("a"))
        .send(&domain)
        .await
        .assert_status(202);
}

#[tokio::test]
async fn an_origin_that_does_not_show_a_type_hides_it_from_no_other() {
    let domain = strict().await;
    let (hostile, honest) = (Peer::start().await, Peer::start().await);
    let post = Type::new("Post", None);
    hostile.answers(&post.path(), Page::Status(404));
    post.shown_by(&honest);
    letter(&domain, &hostile, post.object("a"))
        .send(&domain)
        .await
        .assert_refused(422, "type_unknown");
    letter(&domain, &honest, post.object("a"))
        .send(&domain)
        .await
        .assert_status(202);
    // And once it is here, it is nobody's to hide.
    letter(&domain, &hostile, post.object("a"))
        .send(&domain)
        .await
        .assert_status(202);
}

#[tokio::test]
async fn an_object_whose_type_cannot_be_had_passes_unchecked_and_that_is_remarked() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let (post, review) = (Type::new("Post", None), Type::new("Review", None));
    for (title, page) in [("too long", Page::Status(404)), ("longer", Page::Status(500))] {
        peer.answers(&post.path(), page);
        letter(&domain, &peer, post.object(title))
            .send(&domain)
            .await
            .assert_status(202);
        assert_eq!(remarks(&domain, &peer).await, ["validation_skipped"]);
        domain.later(30);
    }
    assert!(
        domain
            .metrics()
            .contains(r#"fedsx_log_validation_skipped_total{stream="inbox"} 2"#)
    );
    // One that cannot be had keeps no other away.
    review.shown_by(&peer);
    letter(
        &domain,
        &peer,
        json!([post.object("a"), review.object("too long")]),
    )
    .send(&domain)
    .await
    .assert_refused(422, "schema_refused");
}

#[tokio::test]
async fn where_types_are_not_fetched_nobody_is_asked() {
    let peer = Peer::start().await;
    let post = Type::new("Post", None);
    post.shown_by(&peer);
    let lenient = Domain::with(|settings| settings.type_fetch = false).await;
    letter(&lenient, &peer, post.object("a"))
        .send(&lenient)
        .await
        .assert_status(202);
    assert_eq!(remarks(&lenient, &peer).await, ["validation_skipped"]);
    let strict = Domain::with(|settings| {
        settings.type_fetch = false;
        settings.strict_object_schema = true;
    })
    .await;
    letter(&strict, &peer, post.object("a"))
        .send(&strict)
        .await
        .assert_refused(422, "type_fetch_disabled");
    assert_eq!(peer.gets(&post.path()), 0);
}

#[tokio::test]
async fn an_activity_of_many_types_gets_further_each_time() {
    let (domain, peer) = (strict().await, Peer::start().await);
    let types: Vec<_> = (0..20)
        .map(|number| Type::new(&format!("Type{number}"), None))
        .collect();
    for one in &types {
        one.shown_by(&peer);
    }
    let objects: Vec<_> = types.iter().map(|one| one.object("short")).collect();
    let many = letter(&domain, &peer, Value::Array(objects));
    many.send(&domain).await.assert_refused(503, "fetch_failed");
    assert_eq!(domain.peer_types().await.len(), 16);
    many.send(&domain).await.assert_status(202);
    assert_eq!(domain.peer_types().await.len(), 20);
}

/// Nothing is asked of an origin for whom did not show to be its.
#[tokio::test]
async fn nothing_is_fetched_before_the_signature_holds() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let post = Type::new("Post", None);
    post.shown_by(&peer);
    let draft = json!({"type": "Create", "object": post.object("a"), "to": [ALICE]});
    let plain = crate::letter::without_proof(&peer.seal("bob", &draft));
    let forged = Letter::new(&domain, &peer, &plain).forged();
    forged.send(&domain).await.assert_refused(403, "bad_signature");
    assert_eq!(peer.gets(&post.path()), 0);
}
