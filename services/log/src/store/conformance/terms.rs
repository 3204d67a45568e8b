//! The JSON-LD terms that types and verbs declare, and what types derive, in what is sealed.

use fedsx_kernel::{
    activity::{Activity, PUBLIC},
    canonical,
    cid::Cid,
};
use fedsx_runtime::code::Code;
use serde_json::{Map, Value, json};

use super::{
    Backend,
    definitions::{code, create, define, receive, sealed},
    harness::{Answer, Log},
};

const SCHEMA: &str = "http://schema.org/";

fn post() -> Value {
    json!({
        "name": "Post",
        "instanceType": "Article",
        "fields": [
            {"name": "tags", "type": "array", "maxItems": 3, "maxLength": 20},
            {"name": "tag", "from": "object.tags.map(tag, {'type': 'Hashtag', 'name': '#' + tag})"},
        ],
        "context": {"schema": SCHEMA, "Post": "fedsx:Post", "tags": "schema:keywords", "Hashtag": "as:Hashtag"},
    })
}

/// The activity as it was sealed, and its own terms: those of its last inline context without what all have.
async fn published(log: &Log, draft: &Value) -> (Value, Value) {
    let outcome = log.publish("alice", draft, "").await.unwrap();
    let (entry, body) = sealed(log, outcome).await;
    // It reads back to the activity whose name it has, and its proof repeats the context.
    let activity = Activity::parse(&entry.body).unwrap();
    assert_eq!(activity.cid().as_str(), entry.cid);
    assert_eq!(body["proof"]["@context"], body["@context"]);
    let last = body["@context"].as_array().and_then(|entries| entries.last());
    let mut terms = last.and_then(Value::as_object).cloned().unwrap_or_default();
    terms.retain(|name, _| !["fedsx", "prev", "causedBy", "causeDepth", "typeCid"].contains(&name.as_str()));
    let terms = Value::Object(terms);
    (body, terms)
}

async fn define_type(log: &Log, record: Value) -> Cid {
    let (_, defined) = sealed(log, define(log, "DefineType", record).await.unwrap()).await;
    Cid::of_canonical(&canonical::to_vec(&defined["object"]).unwrap())
}

async fn redefine(log: &Log, record: Value) -> Answer<Code> {
    define(log, "DefineType", record).await.map(|_| Code::Internal)
}

pub(super) async fn what_is_sealed_has_the_terms_of_its_verb_and_types(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let before = published(&log, &create(&json!({"type": "Post"}))).await;
    assert_eq!(before.1, json!({}));
    let post_cid = define_type(&log, post()).await;
    let verbs = json!({"name": "Create", "context": {"mood": "fedsx:mood"}});
    define(&log, "DefineActivity", verbs).await.unwrap();

    let (_, terms) = published(&log, &create(&json!({"type": "Post"}))).await;
    let mut expected = post()["context"].clone();
    expected["mood"] = "fedsx:mood".into();
    assert_eq!(terms, expected);
    // What a type stands on says what its names mean, and an older record what it meant.
    define_type(
        &log,
        json!({"name": "Review", "instanceType": post_cid, "context": {"stars": "fedsx:stars"}}),
    )
    .await;
    define_type(&log, json!({"name": "Post"})).await;
    let (_, terms) = published(&log, &create(&json!([{"type": "Review"}, {"type": "Review"}]))).await;
    expected["stars"] = "fedsx:stars".into();
    assert_eq!(terms, expected);
    let (_, terms) = published(&log, &create(&json!({"type": "Post"}))).await;
    assert_eq!(terms, json!({"mood": "fedsx:mood"}));
    // An object that is only named says nothing.
    let (_, terms) = published(&log, &create(&json!("https://blog.example/objects/1"))).await;
    assert_eq!(terms, json!({"mood": "fedsx:mood"}));
}

pub(super) async fn the_first_meaning_of_a_term_counts(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let declared = |name: &str, genre: &str| json!({"name": name, "context": {"genre": genre}});
    define_type(&log, declared("Song", "fedsx:genre")).await;
    define_type(&log, declared("Film", "https://film.example/genre")).await;
    let of = |kinds: [&str; 2]| create(&json!(kinds.map(|kind| json!({ "type": kind }))));
    let genre = async |draft: &Value| published(&log, draft).await.1["genre"].clone();
    assert_eq!(genre(&of(["Song", "Film"])).await, "fedsx:genre");
    assert_eq!(genre(&of(["Film", "Song"])).await, "https://film.example/genre");
    // A draft that says it is taken at its word, and keeps the rest.
    let mut said = of(["Song", "Film"]);
    said["@context"] = json!(["https://music.example/ns", {"genre": "https://music.example/genre"}]);
    let (body, terms) = published(&log, &said).await;
    assert_eq!(
        body["@context"].as_array().unwrap()[..2],
        said["@context"].as_array().unwrap()[..]
    );
    assert_eq!(terms, json!({}));
}

pub(super) async fn a_type_declares_no_term_otherwise_than_what_it_stands_on(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let post_cid = define_type(&log, post()).await;
    let review = |context: Value| json!({"name": "Review", "instanceType": post_cid, "context": context});
    let refusal = redefine(&log, review(json!({"tags": "fedsx:tags"})))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, Code::SchemaRefused);
    assert!(
        refusal.detail.contains("`context.tags` of `Review`"),
        "{}",
        refusal.detail
    );
    let unsound = redefine(&log, review(json!({"name": "fedsx:name"}))).await;
    assert_eq!(code(unsound), Code::SchemaRefused);
    // However it is written.
    redefine(&log, review(json!({"tags": "http://schema.org/keywords"})))
        .await
        .unwrap();
}

pub(super) async fn what_an_object_leaves_out_is_derived_for_our_own_alone(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let post_cid = define_type(&log, post()).await;
    let jazz = json!({"type": "Post", "tags": ["jazz"]});
    let tag = async |draft: &Value| published(&log, draft).await.0["object"]["tag"].clone();
    let hashtag = json!([{"type": "Hashtag", "name": "#jazz"}]);
    assert_eq!(tag(&create(&jazz)).await, hashtag);
    let mut said = jazz.clone();
    said["tag"] = json!([]);
    assert_eq!(tag(&create(&said)).await, json!([]));
    assert_eq!(tag(&create(&json!({"type": "Post"}))).await, Value::Null);
    // Only who makes or changes an object says what it is.
    let passed_on = json!({"type": "Announce", "to": [PUBLIC], "object": jazz});
    assert_eq!(tag(&passed_on).await, Value::Null);

    let theirs: Map<String, Value> = [("typeCid".to_owned(), json!(post_cid))]
        .into_iter()
        .chain(jazz.as_object().cloned().unwrap())
        .collect();
    receive(&log, 1, json!(theirs)).await.unwrap();
    let entry = log.all().await.pop().unwrap();
    let body: Value = serde_json::from_slice(&entry.body).unwrap();
    assert_eq!(body["object"], json!(theirs));
}
