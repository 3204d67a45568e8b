//! What is defined, and what is checked by it.

use fedsx_kernel::{activity::PUBLIC, cid::Cid};
use fedsx_proto::v1::{Entry, append_response, publish_response};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::Role,
};
use serde_json::{Value, json};

use super::{
    Backend,
    harness::{ALICE, Answer, BASE, BOB, Log, bytes, inbox, note, received, settings},
};
use crate::Settings;

/// Publishes a record of the base's.
pub(super) async fn define(log: &Log, verb: &str, record: Value) -> Answer<publish_response::Outcome> {
    define_as(log, "", verb, record).await
}

async fn define_as(log: &Log, actor: &str, verb: &str, record: Value) -> Answer<publish_response::Outcome> {
    let draft = json!({"type": verb, "to": [PUBLIC], "object": record});
    log.publish(actor, &draft, "").await
}

/// What was published, as it was sealed.
pub(super) async fn sealed(log: &Log, outcome: publish_response::Outcome) -> (Entry, Value) {
    let publish_response::Outcome::Appended(placed) = outcome else {
        panic!("{outcome:?}")
    };
    let entries = log.all().await;
    let entry = entries
        .into_iter()
        .find(|entry| entry.position == placed.position);
    let entry = entry.unwrap();
    let body = serde_json::from_slice(&entry.body).unwrap();
    (entry, body)
}

fn endorse(object: &Value) -> Value {
    json!({"type": "Endorse", "to": [PUBLIC], "object": object})
}

pub(super) fn create(object: &Value) -> Value {
    json!({"type": "Create", "to": [PUBLIC], "object": object})
}

pub(super) fn code<T: std::fmt::Debug>(answer: Answer<T>) -> Code {
    answer.unwrap_err().code
}

/// Bob tells the domain of an object.
pub(super) async fn receive(log: &Log, number: u32, object: Value) -> Answer<append_response::Outcome> {
    let mut activity = received(BOB, &number.to_string(), "");
    activity["object"] = object;
    log.append(inbox(BOB, &[activity])).await
}

/// A type of posts that have a title, and begin before they end.
fn post() -> Value {
    json!({
        "name": "Post",
        "instanceType": "Article",
        "fields": [
            {"name": "title", "type": "string", "required": true, "maxLength": 20},
            {"name": "tags", "type": "array", "maxItems": 3},
        ],
        "refinementSchema": "!has(object.tags) || object.tags.all(tag, tag != '')",
    })
}

pub(super) async fn a_verb_works_from_its_declaration_on(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let note = json!("https://events.example/notes/1");
    let before = log.publish("alice", &endorse(&note), "before").await.unwrap();
    let accepted = log.append(inbox(BOB, &[unknown_verb()])).await.unwrap();
    define(&log, "DefineActivity", json!({"name": "Create"}))
        .await
        .unwrap();
    // What was taken was taken: who asks again learns so.
    let again = log.publish("alice", &endorse(&note), "before").await.unwrap();
    assert_eq!(place(&again), place(&before));
    assert!(matches!(again, publish_response::Outcome::Duplicate(_)));
    let again = log.append(inbox(BOB, &[unknown_verb()])).await.unwrap();
    assert!(
        matches!(again, append_response::Outcome::Duplicate(_)),
        "{accepted:?} {again:?}"
    );
    assert_eq!(
        code(log.publish("alice", &endorse(&note), "").await),
        Code::TypeUnknown
    );
    assert_eq!(
        code(log.append(inbox(BOB, &[new_unknown_verb()])).await),
        Code::TypeUnknown
    );
    let field = |name: &str| json!({"name": name, "type": "string", "format": "uri", "maxLength": 2048});
    let record = json!({
        "name": "Endorse", "fields": [field("object"), field("actor")],
        "refinementSchema": "activity.object != activity.actor",
    });
    define(&log, "DefineActivity", record).await.unwrap();
    log.publish("alice", &endorse(&note), "").await.unwrap();
    let refusal = log
        .publish("alice", &endorse(&json!("no URI")), "")
        .await
        .unwrap_err();
    let detail = "the field `object` of `Endorse` is a string that is no uri";
    assert_eq!(refusal, Refusal::new(Code::SchemaRefused, detail));
    // Who speaks is known to the schema though the draft does not say it.
    let oneself = log.publish("alice", &endorse(&json!(ALICE)), "").await;
    assert_eq!(
        oneself.unwrap_err().detail,
        "the refinement of `Endorse` is not true of it"
    );
    log.stop().await;
    let log = Log::start(backend.open().await).await;
    log.publish("alice", &endorse(&note), "").await.unwrap();
    assert_eq!(
        code(log.append(inbox(BOB, &[new_unknown_verb()])).await),
        Code::TypeUnknown
    );
}

fn place(outcome: &publish_response::Outcome) -> u64 {
    match outcome {
        publish_response::Outcome::Appended(at) => at.position,
        publish_response::Outcome::Duplicate(at) => at.position,
        publish_response::Outcome::KvConflict(_) => 0,
    }
}

fn unknown_verb() -> Value {
    let mut activity = received(BOB, "unknown", "");
    activity["type"] = "Wave".into();
    activity
}

/// Another, which nobody has taken yet.
fn new_unknown_verb() -> Value {
    let mut activity = unknown_verb();
    activity["id"] = "https://events.example/notes/new".into();
    activity
}

pub(super) async fn an_object_is_checked_against_its_type(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let (_, defined) = sealed(&log, define(&log, "DefineType", post()).await.unwrap()).await;
    let record = &defined["object"];
    assert_eq!(record["refinementProfile"], "fedsx-cel-1");
    assert!(record["refinementCost"].as_u64().is_some());
    let cid = Cid::of_canonical(&fedsx_kernel::canonical::to_vec(record).unwrap());

    // A local actor's object is named by the log.
    let gig = json!({"type": "Post", "title": "Gig Night", "tags": ["gig"]});
    let (_, sent) = sealed(&log, log.publish("alice", &create(&gig), "").await.unwrap()).await;
    assert_eq!(sent["object"]["typeCid"], cid.as_str());
    for (object, rule) in [
        (json!({"type": "Post"}), "the field `title`"),
        (
            json!({"type": "Post", "title": "Gig Night", "tags": [""]}),
            "the refinement",
        ),
    ] {
        let refusal = log.publish("alice", &create(&object), "").await.unwrap_err();
        assert_eq!(refusal.code, Code::SchemaRefused);
        assert!(refusal.detail.starts_with(rule), "{}", refusal.detail);
    }

    // A stranger's by the CID that it names, and by no name.
    receive(
        &log,
        1,
        json!({"type": "Post", "typeCid": cid, "title": "Gig Night"}),
    )
    .await
    .unwrap();
    let long = json!({"type": "Post", "typeCid": cid, "title": "x".repeat(21)});
    assert_eq!(code(receive(&log, 2, long).await), Code::SchemaRefused);
    let other = json!({"type": "Article", "typeCid": cid, "title": "Gig Night"});
    assert_eq!(code(receive(&log, 3, other).await), Code::SchemaRefused);
    assert_eq!(
        code(receive(&log, 4, json!({"type": "Post", "typeCid": "bafy"})).await),
        Code::SchemaRefused
    );
    receive(&log, 5, json!({"type": "Note"})).await.unwrap();
    receive(&log, 6, json!({"type": "Post"})).await.unwrap();
    let remarks: Vec<_> = log
        .all()
        .await
        .into_iter()
        .rev()
        .take(2)
        .map(|entry| entry.meta.unwrap().remarks)
        .collect();
    assert_eq!(remarks, [vec!["validation_skipped".to_owned()], vec![]]);
}

pub(super) async fn what_an_instance_type_asks_holds_too(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let (_, defined) = sealed(&log, define(&log, "DefineType", post()).await.unwrap()).await;
    let cid = Cid::of_canonical(&fedsx_kernel::canonical::to_vec(&defined["object"]).unwrap());
    let review = json!({"name": "Review", "instanceType": cid, "fields": [{"name": "stars", "type": "integer", "maximum": 5}]});
    define(&log, "DefineType", review).await.unwrap();
    let of =
        |title: Option<&str>, stars: u32| create(&json!({"type": "Review", "title": title, "stars": stars}));
    log.publish("alice", &of(Some("Gig Night"), 5), "").await.unwrap();
    for broken in [of(None, 5), of(Some("Gig Night"), 6)] {
        assert_eq!(code(log.publish("alice", &broken, "").await), Code::SchemaRefused);
    }
    let orphan = json!({"name": "Orphan", "instanceType": Cid::of_canonical(b"nobody's")});
    assert_eq!(code(define(&log, "DefineType", orphan).await), Code::TypeUnknown);
}

pub(super) async fn who_has_the_grant_defines_and_nobody_else(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let link = |child: Value| json!({"childTypeCid": child, "parentTypeCid": Cid::of_canonical(b"parent")});
    let wave = || json!({"name": "Wave"});
    assert_eq!(
        code(define_as(&log, "alice", "DefineActivity", wave()).await),
        Code::Forbidden
    );
    decide(&log, "Grant", ALICE).await.unwrap();
    define_as(&log, "alice", "DefineActivity", wave()).await.unwrap();
    assert_eq!(log.definitions().await.granted, [ALICE]);
    decide(&log, "Revoke", ALICE).await.unwrap();
    assert!(log.definitions().await.granted.is_empty());
    assert_eq!(
        code(define_as(&log, "alice", "DefineActivity", wave()).await),
        Code::Forbidden
    );
    assert_eq!(code(decide(&log, "Grant", BOB).await), Code::Malformed);

    // A stranger's definition is data, which must be sound.
    let mut theirs = received(BOB, "definition", "");
    (theirs["type"], theirs["object"]) = ("DefineActivity".into(), json!({"name": "Hug"}));
    log.append(inbox(BOB, &[theirs.clone()])).await.unwrap();
    let hug = json!({"type": "Hug", "to": [PUBLIC], "object": BOB});
    assert_eq!(code(log.publish("alice", &hug, "").await), Code::TypeUnknown);
    theirs["id"] = "https://events.example/notes/link".into();
    (theirs["type"], theirs["object"]) = ("SubtypeOf".into(), link(json!(7)));
    let refusal = log.append(inbox(BOB, &[theirs])).await.unwrap_err();
    let detail = "the object of SubtypeOf: `childTypeCid` is no string";
    assert_eq!(refusal, Refusal::new(Code::SchemaRefused, detail));
    let linked = define(&log, "SubtypeOf", link(json!(Cid::of_canonical(b"child"))));
    let (entry, _) = sealed(&log, linked.await.unwrap()).await;
    let listed = log.definitions().await.definitions;
    let kinds: Vec<_> = listed.iter().map(|found| (&*found.kind, &*found.name)).collect();
    assert_eq!(kinds, [("subtype", ""), ("verb", "Wave")]);
    assert_eq!(listed.first().map(|link| link.position), Some(entry.position));
}

pub(super) async fn a_projection_is_defined_where_it_can_be_evaluated(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    let count = |fold: &str| {
        let on = json!({"verbs": ["Wave"]});
        json!({"name": "waves", "on": on, "key": "activity.actor", "fold": fold})
    };
    let refusal = define(&log, "DefineProjection", count("state +"))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, Code::SchemaRefused);
    assert!(
        refusal.detail.contains("`fold` column 8: syntax"),
        "{}",
        refusal.detail
    );
    define(&log, "DefineProjection", count("state + 1"))
        .await
        .unwrap();
    let [defined] = &log.definitions().await.definitions[..] else {
        panic!("one definition")
    };
    assert_eq!(
        (defined.kind.as_str(), defined.name.as_str()),
        ("projection", "waves")
    );
}

async fn decide(log: &Log, verb: &str, actor: &str) -> Answer<append_response::Outcome> {
    let body = json!({
        "@context": fedsx_kernel::activity::CONTEXT,
        "id": format!("{BASE}decisions/{}", rand::random::<u64>()),
        "type": verb, "actor": BASE, "object": actor, "grant": "define",
    });
    let request = fedsx_proto::v1::AppendRequest {
        stream: "domain".to_owned(),
        entries: vec![fedsx_proto::v1::NewEntry {
            body: bytes(&body),
            meta: None,
        }],
        ..fedsx_proto::v1::AppendRequest::default()
    };
    log.append_as(Role::Operator, request).await
}

/// Whatever another replica knew when the request came.
pub(super) async fn what_another_process_defines_counts_at_once(backend: &impl Backend) {
    let store = backend.open().await;
    let one = Log::with_actors(store.clone()).await;
    let other = Log::start(store).await;
    for number in 0..10 {
        let verb = format!("Verb{number}");
        let said = json!({"type": verb, "to": [PUBLIC], "object": BOB});
        if number > 0 {
            assert_eq!(code(other.publish("alice", &said, "").await), Code::TypeUnknown);
        }
        define(&one, "DefineActivity", json!({"name": verb}))
            .await
            .unwrap();
        other.publish("alice", &said, "").await.unwrap();
        let strict = json!({"name": verb, "fields": [{"name": "content", "required": true}]});
        define(&other, "DefineActivity", strict).await.unwrap();
        assert_eq!(code(one.publish("alice", &said, "").await), Code::SchemaRefused);
        let [of_one, of_other] = [one.definitions().await, other.definitions().await];
        assert_eq!(of_one, of_other);
        assert_eq!(of_one.definitions.len(), number + 1);
    }
}

/// Definitions and what goes by them, all at once.
pub(super) async fn a_batch_goes_by_what_it_defines(backend: &impl Backend) {
    let log = Log::with_actors(backend.open().await).await;
    define(&log, "DefineActivity", json!({"name": "Create"}))
        .await
        .unwrap();
    let drafts: Vec<_> = (0..20).map(|number| format!("Verb{number}")).collect();
    let each = drafts.iter().map(async |verb| {
        let said = json!({"type": verb, "to": [PUBLIC], "object": BOB});
        let (defined, at_once) = tokio::join!(
            define(&log, "DefineActivity", json!({"name": verb})),
            log.publish("alice", &said, "")
        );
        defined.unwrap();
        let later = log.publish("alice", &said, "").await;
        assert!(later.is_ok(), "{later:?}");
        assert!(at_once.is_ok() || code(at_once) == Code::TypeUnknown);
    });
    futures::future::join_all(each).await;
    // Each was declared before it was used.
    let mut declared = std::collections::BTreeSet::new();
    for entry in log.all().await {
        let body: Value = serde_json::from_slice(&entry.body).unwrap();
        match body["type"].as_str().unwrap() {
            "DefineActivity" => drop(declared.insert(body["object"]["name"].as_str().unwrap().to_owned())),
            verb if verb.starts_with("Verb") => assert!(declared.contains(verb), "{verb}"),
            _ => {}
        }
    }
}

pub(super) async fn a_strict_domain_takes_no_type_that_it_does_not_know(backend: &impl Backend) {
    let settings = Settings {
        strict_object_schema: true,
        ..settings()
    };
    let log = Log::with(settings, backend.open().await).await.unwrap();
    log.create_actors().await;
    log.publish("alice", &note("hello", true), "").await.unwrap();
    let post = json!({"type": "Post", "typeCid": Cid::of_canonical(b"nobody's")});
    assert_eq!(code(receive(&log, 1, post.clone()).await), Code::TypeUnknown);
    assert_eq!(
        code(log.publish("alice", &create(&post), "").await),
        Code::TypeUnknown
    );
}
