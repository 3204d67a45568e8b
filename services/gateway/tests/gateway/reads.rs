//! What is served: actors, collections, activities, objects.

use fedsx_proto::v1::get_request::By;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    domain::{Domain, ORIGIN, PUBLIC, body},
    letter::{Letter, without_proof},
    peer::Peer,
};

const ALICE: &str = "https://events.example/actors/alice";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn note(domain: &Domain, text: &str, to: &str) -> fedsx_proto::v1::Entry {
    let object = json!({ "type": "Note", "content": text });
    domain
        .publish(
            "alice",
            &json!({ "type": "Create", "object": object, "to": [to] }),
        )
        .await
}

fn items(answer: &Answer) -> Vec<Value> {
    answer.assert_status(200).json()["orderedItems"]
        .as_array()
        .unwrap()
        .clone()
}

fn contents(answer: &Answer) -> Vec<String> {
    let content = |item: &Value| item["object"]["content"].as_str().unwrap().to_owned();
    items(answer).iter().map(content).collect()
}

#[tokio::test]
async fn actors_are_served_as_the_reader_likes() {
    let domain = Domain::new().await;
    for (accept, content_type) in [
        ("*/*", "application/activity+json"),
        ("application/activity+json", "application/activity+json"),
        (
            "application/ld+json",
            r#"application/ld+json; profile="https://www.w3.org/ns/activitystreams""#,
        ),
        (BROWSER, "application/json"),
    ] {
        let answer = domain.get_as("/actors/alice", accept).await;
        answer.assert_status(200);
        assert_eq!(answer.header("content-type"), content_type);
        assert_eq!(answer.json()["id"], ALICE);
        assert_eq!(
            (answer.header("vary"), answer.header("cache-control")),
            ("Accept", "public, max-age=300")
        );
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    let actor = domain.get("/actors/alice").await.json();
    assert_eq!(actor["inbox"], format!("{ALICE}/inbox"));
    assert!(
        actor["assertionMethod"][0]["publicKeyMultibase"]
            .as_str()
            .unwrap()
            .starts_with("z6Mk")
    );
    for path in ["/actors/bob", "/actors/Alice", "/actors/%ff", "/actors/alice%2fx"] {
        domain.get(path).await.assert_refused(404, "not_found");
    }
}

#[tokio::test]
async fn the_base_is_an_actor_and_a_page() {
    let domain = Domain::new().await;
    let actor = domain.get("/").await;
    assert_eq!(actor.header("content-type"), "application/activity+json");
    assert_eq!(
        (&actor.json()["id"], &actor.json()["type"]),
        (&"https://events.example/".into(), &"Service".into())
    );
    let page = domain.get_as("/", BROWSER).await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains("<h1>Events</h1>"), "{}", page.text());
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let domain = Domain::new().await;
    for path in [
        "/",
        "/actors/alice",
        "/actors/alice/outbox",
        "/activities",
        "/nodeinfo/2.1",
    ] {
        let get = domain.get(path).await;
        let request = http::Request::head(path).body(axum::body::Body::empty()).unwrap();
        let head = domain.send(request).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn an_actor_that_was_just_made_is_found_while_the_view_lags() {
    let domain = Domain::new().await;
    let new = format!("{ORIGIN}/actors/new");
    domain.views.put_late(
        "actors",
        &new,
        json!({ "document": { "id": new }, "kind": "Person" }),
    );
    assert_eq!(
        domain.get("/actors/new").await.assert_status(200).json()["id"],
        new
    );
}

#[tokio::test]
async fn an_outbox_shows_what_is_public_newest_first() {
    let domain = Domain::new().await;
    for n in 0..45 {
        note(&domain, &n.to_string(), PUBLIC).await;
    }
    note(&domain, "private", "https://blog.example/actors/bob").await;
    let outbox = domain.get("/actors/alice/outbox").await;
    assert_eq!(
        outbox.assert_status(200).json(),
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": format!("{ALICE}/outbox"),
            "type": "OrderedCollection",
            "totalItems": 45,
            "first": format!("{ALICE}/outbox?page=0"),
            "last": format!("{ALICE}/outbox?page=last"),
        })
    );
    let mut shown = Vec::new();
    let mut next = outbox.json()["first"].as_str().map(str::to_owned);
    while let Some(url) = next {
        let page = domain.get(&url).await;
        assert_eq!(
            (&page.json()["id"], &page.json()["partOf"]),
            (&url.into(), &format!("{ALICE}/outbox").into())
        );
        assert_eq!(page.json()["type"], "OrderedCollectionPage");
        assert!(contents(&page).len() <= 20);
        shown.extend(contents(&page));
        next = page.json()["next"].as_str().map(str::to_owned);
    }
    let all: Vec<String> = (0..45).rev().map(|n| n.to_string()).collect();
    assert_eq!(shown, all);
    let last = domain.get(outbox.json()["last"].as_str().unwrap()).await;
    assert_eq!(contents(&last), all[25..]);
    assert_eq!(last.json()["next"], Value::Null);
}

#[tokio::test]
async fn a_gap_is_filled_from_the_outbox_in_order() {
    let domain = Domain::new().await;
    let mut cids = Vec::new();
    for n in 0..30 {
        cids.push(note(&domain, &n.to_string(), PUBLIC).await.cid);
    }
    let hidden = note(&domain, "private", "https://blog.example/actors/bob")
        .await
        .cid;
    let page = domain
        .get(&format!("/actors/alice/outbox?after={}", cids[4]))
        .await;
    let all: Vec<String> = (5..30).map(|n| n.to_string()).collect();
    assert_eq!(contents(&page), all[..20]);
    let next = page.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(next, format!("{ALICE}/outbox?after={}", cids[24]));
    let page = domain.get(&next).await;
    assert_eq!(
        (contents(&page), &page.json()["next"]),
        (all[20..].to_vec(), &Value::Null)
    );
    assert_eq!(
        items(
            &domain
                .get(&format!("/actors/alice/outbox?after={}", cids[29]))
                .await
        )
        .len(),
        0
    );
    // Neither what is private nor what is another's tells where it lies.
    let base = domain.stream(&format!("outbox/{ORIGIN}/")).await[0].cid.clone();
    for cid in [&hidden, &base] {
        domain
            .get(&format!("/actors/alice/outbox?after={cid}"))
            .await
            .assert_refused(404, "not_found");
    }
    domain
        .get("/actors/alice/outbox?after=x")
        .await
        .assert_refused(400, "malformed");
    domain
        .get("/actors/alice/outbox?page=x")
        .await
        .assert_refused(400, "malformed");
    domain
        .get("/actors/nobody/outbox")
        .await
        .assert_refused(404, "not_found");
}

#[tokio::test]
async fn a_page_of_large_activities_stays_fetchable() {
    let domain = Domain::new().await;
    for n in 0..3 {
        note(&domain, &format!("{n}{}", "x".repeat(300 << 10)), PUBLIC).await;
    }
    let page = domain.get("/outbox?page=0").await;
    assert_eq!(items(&page).len(), 2, "the two Creates of actors");
    let page = domain.get("/actors/alice/outbox?page=0").await;
    assert!(page.body.len() < 1 << 20);
    assert_eq!(items(&page).len(), 1);
    let next = page.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(items(&domain.get(&next).await).len(), 1);
}

#[tokio::test]
async fn followers_and_following_show_what_is_accepted() {
    let domain = Domain::new().await;
    let follower = |n: usize| format!("https://blog.example/actors/f{n:03}");
    for n in 0..45 {
        domain.views.relate("followers", ALICE, &follower(n), "accepted");
    }
    domain.views.relate(
        "followers",
        ALICE,
        "https://blog.example/actors/waits",
        "requested",
    );
    domain.views.relate(
        "followers",
        "https://events.example/actors/alicette",
        &follower(99),
        "accepted",
    );
    let followers = domain.get("/actors/alice/followers").await.json();
    assert_eq!(
        (&followers["totalItems"], &followers["type"]),
        (&45.into(), &"OrderedCollection".into())
    );
    let (mut shown, mut next) = (Vec::new(), followers["first"].as_str().map(str::to_owned));
    while let Some(url) = next {
        let page = domain.get(&url).await;
        shown.extend(items(&page));
        next = page.json()["next"].as_str().map(str::to_owned);
    }
    assert_eq!(shown, (0..45).map(follower).map(Value::from).collect::<Vec<_>>());
    assert_eq!(
        items(&domain.get(followers["last"].as_str().unwrap()).await),
        shown[40..]
    );

    domain.views.relate(
        "following",
        "https://events.example/",
        "https://blog.example/",
        "accepted",
    );
    assert_eq!(domain.get("/following").await.json()["totalItems"], 1);
    assert_eq!(
        items(&domain.get("/following?page=0").await),
        ["https://blog.example/"]
    );
    assert_eq!(domain.get("/followers").await.json()["totalItems"], 0);
    assert_eq!(items(&domain.get("/followers?page=0").await).len(), 0);
    domain
        .get("/actors/nobody/followers")
        .await
        .assert_refused(404, "not_found");
}

#[tokio::test]
async fn followers_are_not_counted_anew_for_everyone_who_asks() {
    let domain = Domain::new().await;
    let follow = |n: usize| {
        let follower = format!("https://blog.example/actors/f{n:04}");
        domain.views.relate("followers", ALICE, &follower, "accepted");
    };
    let total = async |path: &str| domain.get(path).await.json()["totalItems"].clone();
    (0..2_500).for_each(follow);
    assert_eq!(total("/actors/alice/followers").await, 2_500);
    follow(2_500);
    assert_eq!(total("/actors/alice/followers").await, 2_500, "as a moment ago");
    assert_eq!(total("/actors/alice/following").await, 0);
    assert_eq!(total("/followers").await, 0);
}

#[tokio::test]
async fn everything_public_is_listed_wherever_it_came_from() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    note(&domain, "ours", PUBLIC).await;
    let theirs = peer.note("bob", "theirs", &[PUBLIC, ALICE]);
    Letter::new(&domain, &peer, &theirs)
        .send(&domain)
        .await
        .assert_status(202);
    let directed = peer.note("bob", "directed", &[ALICE]);
    Letter::new(&domain, &peer, &directed)
        .send(&domain)
        .await
        .assert_status(202);
    let all = domain.get("/activities").await;
    let actors: Vec<Value> = items(&all).iter().map(|item| item["actor"].clone()).collect();
    assert_eq!(
        actors,
        [
            peer.actor("bob"),
            ALICE.to_owned(),
            domain.origin.base(),
            domain.origin.base()
        ]
    );
    assert_eq!(
        (&all.json()["totalItems"], &all.json()["type"]),
        (&4.into(), &"OrderedCollection".into())
    );
    assert_eq!(items(&domain.get("/activities?page=0").await), items(&all));
    for n in 0..20 {
        note(&domain, &n.to_string(), PUBLIC).await;
    }
    let next = domain.get("/activities").await.json()["next"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(items(&domain.get(&next).await), items(&all));
}

#[tokio::test]
async fn an_activity_is_served_as_the_bytes_that_were_signed() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let ours = note(&domain, "ours", PUBLIC).await;
    let answer = domain.get(&format!("/activities/{}", ours.cid)).await;
    assert_eq!(answer.assert_status(200).body, ours.body);
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(answer.json()["id"], format!("{ORIGIN}/activities/{}", ours.cid));

    // Received bytes keep their own order and spacing.
    let theirs = without_proof(&peer.note("bob", "theirs", &[PUBLIC, ALICE]));
    let spaced = serde_json::to_string_pretty(&theirs).unwrap();
    Letter::new(&domain, &peer, &theirs)
        .body(spaced.clone())
        .send(&domain)
        .await
        .assert_status(202);
    let id = theirs["id"].as_str().unwrap().to_owned();
    let entry = domain.entry(By::ActivityId(id)).await;
    assert_eq!(
        domain.get(&format!("/activities/{}", entry.cid)).await.text(),
        spaced
    );

    for cid in ["nonsense", "bagaaiera", "%ff"] {
        domain
            .get(&format!("/activities/{cid}"))
            .await
            .assert_refused(404, "not_found");
    }
}

#[tokio::test]
async fn objects_are_served_while_they_are_there() {
    let domain = Domain::new().await;
    let entry = note(&domain, "context", PUBLIC).await;
    let activity = entry.activity_id.clone();
    let row = |id: &str, public: bool, deleted: bool| {
        let object = json!({ "id": id, "type": "Note", "content": "hello" });
        json!({ "object": object, "activity": activity, "public": public, "deleted": deleted })
    };
    for (path, public, deleted) in [
        ("a/b%20c", true, false),
        ("hidden", false, false),
        ("gone", true, true),
        ("hidden-gone", false, true),
    ] {
        let id = format!("{ORIGIN}/objects/{path}");
        domain.views.put("objects", &id, row(&id, public, deleted));
    }
    let object = domain.get("/objects/a/b%20c").await;
    assert_eq!(object.assert_status(200).json()["content"], "hello");
    assert_eq!(object.header("content-type"), "application/activity+json");
    assert_eq!(
        object.json()["@context"],
        body(&entry)["@context"],
        "the context in which it was spoken of"
    );

    let gone = domain.get("/objects/gone").await;
    assert_eq!(
        gone.assert_status(410).json(),
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": format!("{ORIGIN}/objects/gone"),
            "type": "Tombstone",
            "formerType": "Note",
        })
    );
    for path in ["hidden", "hidden-gone", "none", ""] {
        domain
            .get(&format!("/objects/{path}"))
            .await
            .assert_refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_public_event_tells_when_it_takes_place() {
    let domain = Domain::new().await;
    let event = json!({
        "type": "Event", "name": "Jam", "startTime": "2026-03-22T20:00:00+01:00",
        "endTime": "2026-03-22T22:00:00+01:00", "timezone": "Europe/Zurich", "rrule": "FREQ=WEEKLY",
    });
    let put = |path: &str, object: &Value, public: bool| {
        let row = json!({ "object": object, "activity": "x", "public": public, "deleted": false });
        domain
            .views
            .put("objects", &format!("{ORIGIN}/objects/{path}"), row);
    };
    put("jam", &event, true);
    put("secret", &event, false);
    put("note", &json!({ "type": "Note" }), true);
    put(
        "a/occurrences",
        &json!({ "type": "Note", "name": "its own" }),
        true,
    );

    let answer = domain
        .get("/objects/jam/occurrences?from=2026-03-23T00:00:00Z&limit=1")
        .await;
    assert_eq!(
        answer.assert_status(200).json(),
        json!({
            "event": format!("{ORIGIN}/objects/jam"), "complete": false,
            "occurrences": [{ "startTime": "2026-03-29T20:00:00+02:00", "endTime": "2026-03-29T22:00:00+02:00" }],
        })
    );
    assert_eq!(
        domain.get("/objects/a/occurrences").await.json()["name"],
        "its own"
    );
    for path in [
        "jam/occurrences?limit=0",
        "jam/occurrences?from=now",
        "jam/occurrences?frm=now",
    ] {
        let answer = domain.get(&format!("/objects/{path}")).await;
        answer.assert_refused(400, "malformed");
    }
    for path in ["secret/occurrences", "note/occurrences", "nothing/occurrences"] {
        let answer = domain.get(&format!("/objects/{path}")).await;
        answer.assert_refused(404, "not_found");
    }
}
