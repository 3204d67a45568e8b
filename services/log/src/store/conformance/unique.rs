//! Texts that are derived, and texts that no two objects have.

use std::collections::BTreeSet;

use fedsx_kernel::activity::PUBLIC;
use fedsx_proto::v1::{KvChange, publish_response::Outcome};
use fedsx_runtime::{code::Code, token::Role};
use serde_json::{Value, json};

use super::{
    Backend,
    harness::{ALICE, Answer, Log, ORIGIN, create_person},
};

fn id(object: &str) -> String {
    format!("{ORIGIN}/objects/{object}")
}

fn post(object: &str, title: &str) -> Value {
    json!({"type": "Post", "id": id(object), "title": title})
}

fn about(verb: &str, object: &Value) -> Value {
    json!({"type": verb, "to": [PUBLIC], "object": object})
}

async fn define(log: &Log, fields: Value) {
    let record = json!({"name": "Post", "instanceType": "Article", "fields": fields});
    log.publish("", &about("DefineType", &record), "").await.unwrap();
}

fn fields() -> Value {
    json!([
        {"name": "title", "type": "string", "maxLength": 200},
        {"name": "slug", "type": "string", "format": "slug", "from": "title", "unique": true},
        {"name": "code", "type": "string", "maxLength": 10, "unique": true},
    ])
}

async fn with_posts(backend: &impl Backend) -> Log {
    let log = Log::with_actors(backend.open().await).await;
    define(&log, fields()).await;
    log
}

/// The slug that an object was published with.
async fn slug(log: &Log, actor: &str, draft: &Value) -> Answer<String> {
    let Outcome::Appended(at) = log.publish(actor, draft, "").await? else {
        panic!("not appended");
    };
    let by = fedsx_proto::v1::get_request::By::Position(at.position);
    let body: Value = serde_json::from_slice(&log.get(by).await?.body).unwrap();
    Ok(body["object"]["slug"].as_str().unwrap_or_default().to_owned())
}

async fn holder(log: &Log, key: &str) -> Option<String> {
    let item = log.kv_as(Role::Gateway, "unique", key).await.unwrap();
    item.map(|item| String::from_utf8(item.value.to_vec()).unwrap())
}

pub(super) async fn a_slug_is_derived_kept_and_given_up(backend: &impl Backend) {
    let log = with_posts(backend).await;
    let create = |object: &str| about("Create", &post(object, "Gig Night"));
    assert_eq!(slug(&log, "alice", &create("1")).await.unwrap(), "gig-night");
    assert_eq!(slug(&log, "alice", &create("2")).await.unwrap(), "gig-night-2");
    assert_eq!(holder(&log, "Post/slug/gig-night-2").await, Some(id("2")));
    // Whatever it is called by then.
    let renamed = about("Update", &post("1", "Jazz"));
    assert_eq!(slug(&log, "alice", &renamed).await.unwrap(), "gig-night");

    let mut jazz = post("1", "Jazz");
    jazz["slug"] = "jazz".into();
    assert_eq!(
        slug(&log, "alice", &about("Update", &jazz)).await.unwrap(),
        "jazz"
    );
    assert_eq!(holder(&log, "Post/slug/gig-night").await, None);
    assert_eq!(slug(&log, "alice", &create("3")).await.unwrap(), "gig-night");

    let delete = json!({"type": "Delete", "to": [PUBLIC], "object": id("3")});
    log.publish("alice", &delete, "").await.unwrap();
    assert_eq!(holder(&log, &format!("object/{}", id("3"))).await, None);
    assert_eq!(slug(&log, "alice", &create("4")).await.unwrap(), "gig-night");

    // Objects of one draft see each other, and one without an id is named by nobody.
    let two = about("Create", &json!([post("5", "Jam"), post("6", "Jam")]));
    log.publish("alice", &two, "").await.unwrap();
    assert_eq!(holder(&log, "Post/slug/jam-2").await, Some(id("6")));
    let nameless = json!({"type": "Post", "title": "Jam"});
    assert_eq!(
        slug(&log, "alice", &about("Create", &nameless)).await.unwrap(),
        ""
    );
}

pub(super) async fn a_text_that_another_object_has_is_refused_by_its_field(backend: &impl Backend) {
    let log = with_posts(backend).await;
    let coded = |object: &str, code: &str| {
        let mut post = post(object, "Gig Night");
        post["code"] = code.into();
        about("Create", &post)
    };
    log.publish("alice", &coded("1", "A1"), "").await.unwrap();
    let refusal = log.publish("alice", &coded("2", "A1"), "").await.unwrap_err();
    assert_eq!(refusal.code, Code::AlreadyExists);
    assert_eq!(
        refusal.detail,
        "the field `code`: another object of this domain has \"A1\""
    );
    let given = |object: &str, slug: &str| {
        let mut post = post(object, "Gig Night");
        post["slug"] = slug.into();
        about("Create", &post)
    };
    let refusal = log
        .publish("alice", &given("2", "gig-night"), "")
        .await
        .unwrap_err();
    assert_eq!(refusal.code, Code::AlreadyExists);
    let refusal = log
        .publish("alice", &given("2", "Gig Night"), "")
        .await
        .unwrap_err();
    assert_eq!(refusal.code, Code::SchemaRefused);
    let refusal = log.publish("alice", &coded("2", "a\u{0}"), "").await.unwrap_err();
    assert_eq!(refusal.code, Code::Malformed);
    let nameless = json!({"type": "Post", "title": "Jam", "slug": "jam"});
    let refusal = log
        .publish("alice", &about("Create", &nameless), "")
        .await
        .unwrap_err();
    assert_eq!(refusal.code, Code::SchemaRefused);

    // Nobody writes into the space beside publishing.
    let change = KvChange {
        space: "unique".to_owned(),
        key: "Post/slug/x".to_owned(),
        ..KvChange::default()
    };
    assert_eq!(log.change(vec![change]).await.unwrap_err().code, Code::Forbidden);
}

pub(super) async fn of_many_who_ask_for_one_text_each_gets_its_own(backend: &impl Backend) {
    let store = backend.open().await;
    let one = Log::with_actors(store.clone()).await;
    define(&one, fields()).await;
    let other = Log::start(store).await;
    let drafts: Vec<_> = (0..50)
        .map(|number| about("Create", &post(&number.to_string(), "Gig Night")))
        .collect();
    let each = drafts.iter().enumerate().map(|(number, draft)| {
        let log = if number % 2 == 0 { &one } else { &other };
        slug(log, "alice", draft)
    });
    let slugs: BTreeSet<_> = futures::future::join_all(each)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let expected: BTreeSet<_> = (1..=50)
        .map(|number| fedsx_kernel::slug::numbered("gig-night", number))
        .collect();
    assert_eq!(slugs, expected);
}

pub(super) async fn the_same_draft_again_claims_nothing_more(backend: &impl Backend) {
    let log = with_posts(backend).await;
    let draft = about("Create", &post("1", "Gig Night"));
    assert!(matches!(
        log.publish("alice", &draft, "form").await,
        Ok(Outcome::Appended(_))
    ));
    // Its text is another object's by now.
    let mut jazz = post("1", "Jazz");
    jazz["slug"] = "jazz".into();
    log.publish("alice", &about("Update", &jazz), "").await.unwrap();
    let mut taker = post("2", "Gig Night");
    taker["slug"] = "gig-night".into();
    log.publish("alice", &about("Create", &taker), "").await.unwrap();
    assert!(matches!(
        log.publish("alice", &draft, "form").await,
        Ok(Outcome::Duplicate(_))
    ));
    let mut explicit = post("3", "Gig Night");
    explicit["slug"] = "open".into();
    let explicit = about("Create", &explicit);
    log.publish("alice", &explicit, "other").await.unwrap();
    let mut moved = post("3", "Gig Night");
    moved["slug"] = "moved".into();
    log.publish("alice", &about("Update", &moved), "").await.unwrap();
    let mut taker = post("4", "Gig Night");
    taker["slug"] = "open".into();
    log.publish("alice", &about("Create", &taker), "").await.unwrap();
    assert!(matches!(
        log.publish("alice", &explicit, "other").await,
        Ok(Outcome::Duplicate(_))
    ));
    assert_eq!(holder(&log, "Post/slug/jazz").await, Some(id("1")));
    assert_eq!(holder(&log, "Post/slug/open").await, Some(id("4")));
}

pub(super) async fn who_may_not_change_an_object_claims_nothing_for_it(backend: &impl Backend) {
    let log = with_posts(backend).await;
    log.publish("", &create_person("carol"), "").await.unwrap();
    log.publish("alice", &about("Create", &post("1", "Gig Night")), "")
        .await
        .unwrap();
    let mut theft = post("1", "Jazz");
    theft["slug"] = "jazz".into();
    log.publish("carol", &about("Update", &theft), "").await.unwrap();
    let delete = json!({"type": "Delete", "to": [PUBLIC], "object": id("1")});
    log.publish("carol", &delete, "").await.unwrap();
    assert_eq!(holder(&log, "Post/slug/gig-night").await, Some(id("1")));
    assert_eq!(holder(&log, "Post/slug/jazz").await, None);
    let mut others = post("2", "Jazz");
    others["attributedTo"] = ALICE.into();
    log.publish("carol", &about("Create", &others), "").await.unwrap();
    assert_eq!(holder(&log, "Post/slug/jazz").await, None);
}

/// Whatever another replica knew when the draft came.
pub(super) async fn a_type_that_becomes_unique_is_so_at_once(backend: &impl Backend) {
    let store = backend.open().await;
    let one = Log::with_actors(store.clone()).await;
    let other = Log::start(store).await;
    let draft = |object: &str| about("Create", &post(object, "Gig Night"));
    assert_eq!(slug(&other, "alice", &draft("1")).await.unwrap(), "");
    define(&one, fields()).await;
    assert_eq!(slug(&other, "alice", &draft("2")).await.unwrap(), "gig-night");
    assert_eq!(slug(&one, "alice", &draft("3")).await.unwrap(), "gig-night-2");
    define(&one, json!([{"name": "title", "type": "string"}])).await;
    assert_eq!(slug(&other, "alice", &draft("4")).await.unwrap(), "");
}
