//! Random requests in random batches, against a model that takes them one at a time.

use std::sync::Arc;

use fedsx_kernel::activity::Activity;
use fedsx_proto::v1::{KvChange, Meta};
use fedsx_runtime::code::{Code, Refusal};
use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};

use super::{
    Backend,
    harness::{ALICE, BASE, delete, note, put, settings},
    model::{Change, Expect, Model, Op, STREAMS},
    sealing::assert_chain,
};
use crate::{
    commit::Writer,
    keys::Keys,
    plan::{Answer, Append, Expected, NewActorKey, NewEntry, Publish, Request, testing},
    registry::{Current, checked::Checked},
    store::{PageQuery, Store},
};

fn ops() -> impl Strategy<Value = Op> {
    let change = || {
        (0..3u8, any::<bool>(), proptest::option::of(0..2u64)).prop_map(|(key, put, behind)| Change {
            key,
            put,
            behind,
        })
    };
    let actor = || prop_oneof![Just(BASE), Just(ALICE)];
    let append = (
        0..2usize,
        proptest::option::of(0..5u64),
        proptest::sample::subsequence((0..8u8).collect::<Vec<_>>(), 1..=2),
        proptest::option::of(change()),
    )
        .prop_map(|(stream, expected, texts, kv)| Op::Append {
            stream,
            expected,
            texts,
            kv,
        });
    let publish = (
        actor(),
        proptest::option::of(0..4u8),
        proptest::option::weighted(0.4, actor()),
        proptest::bool::weighted(0.8),
        proptest::option::of(change()),
    )
        .prop_map(|(actor, key, creates, sound, kv)| {
            let creates = creates.filter(|_| actor == BASE);
            Op::Publish {
                actor,
                key,
                creates,
                sound,
                kv,
            }
        });
    prop_oneof![3 => append, 4 => publish, 1 => change().prop_map(Op::Change)]
}

fn change(model: &Model, change: &Change) -> KvChange {
    let there = model.kv.get(&change.key).copied().unwrap_or(0);
    let expected = change.behind.map(|behind| there.saturating_sub(behind));
    let key = change.key.to_string();
    if change.put {
        put(&key, "v", expected)
    } else {
        delete(&key, expected)
    }
}

fn request(op: &Op, kv: Option<KvChange>, keys: &Keys) -> Request {
    let kv: Vec<_> = kv.into_iter().collect();
    match op {
        Op::Append {
            stream,
            expected,
            texts,
            ..
        } => Request::Append(Append {
            stream: STREAMS[*stream].to_owned(),
            expected: expected.map_or(Expected::Any, Expected::Version),
            entries: texts
                .iter()
                .map(|text| NewEntry {
                    activity: testing::complete(&text.to_string()),
                    meta: Meta::default(),
                    checked: Checked::default(),
                })
                .collect(),
            kv,
        }),
        Op::Publish {
            actor,
            key,
            creates,
            sound,
            ..
        } => {
            let mut draft = note("hello", key.is_none_or(|key| key % 2 == 0));
            if !sound {
                draft["actor"] = "https://events.example/actors/bob".into();
            }
            let draft = Arc::new(fedsx_kernel::draft::Draft::parse(draft.to_string().as_bytes()).unwrap());
            let signing_key = fedsx_kernel::key::SigningKey::from_seed(&[9; 32]);
            Request::Publish(Box::new(Publish {
                stream: format!("outbox/{actor}"),
                actor: (*actor).to_owned(),
                given: Arc::clone(&draft),
                draft,
                checked: Checked::default(),
                idempotency_key: key.map(|key| key.to_string()),
                kv,
                asked: Vec::new(),
                is_outdated: false,
                meta: Meta::default(),
                creates: creates.map(|new| NewActorKey {
                    actor: new.to_owned(),
                    sealed: keys.seal(new, &signing_key).unwrap().into(),
                    key: Arc::new(signing_key),
                }),
            }))
        }
        Op::Change(_) => Request::Change(kv),
    }
}

fn expectation(answer: &Result<Answer, Refusal>) -> Expect {
    match answer {
        Ok(Answer::Appended(placed)) => Expect::Appended(placed.position, placed.version),
        Ok(Answer::Duplicate(placed)) => Expect::Duplicate(placed.position, placed.version),
        Ok(Answer::Conflict { version }) => Expect::Conflict(*version),
        Ok(Answer::KvConflict(conflict)) => Expect::KvConflict(conflict.version),
        Ok(Answer::Changed) => Expect::Changed,
        Err(refusal) => Expect::Refused(refusal.code),
    }
}

async fn compare(store: Arc<dyn Store>, batches: &[Vec<Op>]) {
    let settings = settings();
    let keys = Arc::new(Keys::new(settings.master_key));
    let writer = Writer {
        origin: settings.origin,
        store: Arc::clone(&store),
        keys: Arc::clone(&keys),
        registry: Current::default(),
    };
    let mut model = Model::default();
    for batch in batches {
        let mut expected = Vec::new();
        let mut requests = Vec::new();
        for op in batch {
            let kv = match op {
                Op::Append { kv, .. } | Op::Publish { kv, .. } => kv.as_ref(),
                Op::Change(change) => Some(change),
            };
            let kv = kv.map(|kv| change(&model, kv));
            expected.push(model.apply(op, kv.as_ref()));
            requests.push(request(op, kv, &keys));
        }
        let committed = writer.commit(&requests).await.unwrap();
        for ((op, expected), answer) in batch.iter().zip(expected).zip(&committed.answers) {
            let answer = expectation(answer);
            // An unsound draft has no effect, and may be told so whatever else stands in its way.
            let unsound = matches!(op, Op::Publish { sound: false, .. });
            if !(unsound && answer == Expect::Refused(Code::Malformed)) {
                assert_eq!(answer, expected, "{op:?} of {batch:?}");
            }
        }
    }
    assert_stored(&*store, &model).await;
}

async fn assert_stored(store: &dyn Store, model: &Model) {
    let head = store.head().await.unwrap();
    assert_eq!(
        (head.position, head.kv_version),
        (model.entries.len().try_into().unwrap(), model.kv_version)
    );
    for (key, version) in &model.kv {
        let item = store.kv_get("stock", &key.to_string()).await.unwrap().unwrap();
        assert_eq!(item.version, *version);
    }
    let all = PageQuery {
        stream: None,
        public_only: false,
        descending: false,
        from: 0,
        limit: 1000,
        max_bytes: u64::MAX,
    };
    let entries = store.page(&all).await.unwrap();
    let streams: Vec<_> = entries.iter().map(|entry| &entry.stream).collect();
    assert_eq!(
        streams,
        model.entries.iter().map(|(stream, _)| stream).collect::<Vec<_>>()
    );
    for actor in [BASE, ALICE] {
        let chain: Vec<_> = entries
            .iter()
            .filter(|entry| entry.stream == format!("outbox/{actor}"))
            .map(|entry| Activity::parse(&entry.body).unwrap())
            .collect();
        assert_chain(&chain);
    }
}

pub(super) async fn outcomes_are_those_of_a_simple_model<B: Backend>(_: &B) {
    let batches = proptest::collection::vec(proptest::collection::vec(ops(), 1..7), 1..8);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config {
            cases: 128,
            failure_persistence: None,
            ..Config::default()
        });
        let result = runner.run(&batches, |batches| {
            runtime.block_on(async {
                let backend = B::empty().await;
                compare(backend.open().await, &batches).await;
            });
            Ok(())
        });
        result.unwrap();
    });
}
