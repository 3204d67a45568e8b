//! How flows are kept and found again.

use std::collections::HashMap;

use fedsx_kernel::flow::Status;
use jiff::{SignedDuration, Timestamp};

use super::Fixture;
use crate::store::{
    Store,
    flows::{AwaitedKey, AwaitedStep, FlowRow, Holder, KeptBehaviour},
};

pub(crate) const AT: Timestamp = Timestamp::constant(1_795_000_000, 0);

/// A flow of the activity at this position, that waits for nothing and is not due.
pub(crate) fn flow(id: &str, position: u64) -> FlowRow {
    FlowRow {
        id: id.to_owned(),
        name: "digest".to_owned(),
        behaviour: "bafybehaviour".to_owned(),
        activity: format!("bafy{position}"),
        activity_id: format!("https://blog.example/activities/bafy{position}"),
        position,
        verb: "Update".to_owned(),
        actor: "https://blog.example/actors/alice".to_owned(),
        object: "https://blog.example/objects/gig-night".to_owned(),
        public: true,
        started_at: AT,
        version: 1,
        last_position: position + 1,
        moved_at: AT + SignedDuration::from_micros(7),
        status: Status::Running,
        state: br#"{"steps":{}}"#.to_vec(),
        cause: String::new(),
        needs: String::new(),
        due: None,
        waits: Vec::new(),
    }
}

pub(crate) async fn put(store: &dyn Store, flows: &[FlowRow]) {
    store.put_flows(flows, Holder::Same).await.unwrap();
}

async fn get(store: &dyn Store, id: &str) -> Option<FlowRow> {
    store.flows(&[id]).await.unwrap().pop()
}

pub(super) fn ids(flows: &[FlowRow]) -> Vec<&str> {
    flows.iter().map(|flow| flow.id.as_str()).collect()
}

fn step(name: &str) -> AwaitedStep {
    AwaitedStep {
        behaviour: "bafybehaviour".to_owned(),
        step: name.to_owned(),
    }
}

pub(super) fn key(name: &str, key: &str) -> AwaitedKey {
    AwaitedKey {
        step: step(name),
        key: key.to_owned(),
    }
}

pub(super) async fn waiting(store: &dyn Store, keys: &[AwaitedKey]) -> Vec<(AwaitedKey, String)> {
    let found = store.waiting(keys).await.unwrap();
    found.into_iter().map(|(key, flow)| (key, flow.id)).collect()
}

pub(crate) async fn a_behaviour_is_kept_as_it_first_took_effect(fixture: Fixture) {
    let kept = |position, cid: &str| KeptBehaviour {
        position,
        cid: cid.to_owned(),
        name: "digest".to_owned(),
        record: br#"{"name":"digest"}"#.to_vec(),
    };
    let (first, later) = (kept(3, "bafya"), kept(9, "bafyb"));
    fixture.store.keep_behaviours(&[]).await.unwrap();
    fixture
        .store
        .keep_behaviours(std::slice::from_ref(&later))
        .await
        .unwrap();
    let again = [kept(9, "bafyc"), first.clone()];
    fixture.other.keep_behaviours(&again).await.unwrap();
    assert_eq!(fixture.store.behaviours().await.unwrap(), [first, later]);
}

pub(crate) async fn a_flow_is_read_as_it_was_written(fixture: Fixture) {
    let whole = FlowRow {
        status: Status::Retrying,
        cause: "the server said 451".to_owned(),
        needs: "mail".to_owned(),
        due: Some(AT + SignedDuration::from_secs(5)),
        public: false,
        waits: vec![
            ("approved".to_owned(), "gig-night".to_owned()),
            ("paid".to_owned(), "\u{1f3b8}".repeat(16 << 10)),
        ],
        state: vec![b' '; 1 << 20],
        ..flow("a", 7)
    };
    let bare = FlowRow {
        object: String::new(),
        ..flow("b", 8)
    };
    put(&*fixture.store, &[bare.clone(), whole.clone()]).await;
    assert_eq!(get(&*fixture.other, "a").await, Some(whole));
    assert_eq!(get(&*fixture.other, "b").await, Some(bare));
    assert_eq!(get(&*fixture.other, "c").await, None);
    let versions = fixture.other.versions(&["b", "c", "a"]).await.unwrap();
    let expected = HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]);
    assert_eq!(versions, expected);
    assert_eq!(
        fixture.other.versions(&[]).await.unwrap().len() + fixture.other.flows(&[]).await.unwrap().len(),
        0
    );
}

pub(crate) async fn the_higher_version_wins_whoever_comes_first(fixture: Fixture) {
    let version = |version, cause: &str| FlowRow {
        version,
        cause: cause.to_owned(),
        waits: vec![("paid".to_owned(), cause.to_owned())],
        ..flow("a", 7)
    };
    let stands = async |cause: &str| {
        let found = get(&*fixture.other, "a").await.unwrap();
        assert_eq!(
            (found.cause.as_str(), &found.waits[0].1),
            (cause, &cause.to_owned())
        );
        let keys = ["second", "fifth", "sixth"].map(|key_of| key("paid", key_of));
        let waiting = waiting(&*fixture.other, &keys).await;
        assert_eq!(waiting, [(key("paid", cause), "a".to_owned())]);
    };
    put(&*fixture.store, &[version(2, "second")]).await;
    stands("second").await;
    put(&*fixture.other, &[version(5, "fifth")]).await;
    stands("fifth").await;
    for late in [version(4, "second"), version(5, "sixth")] {
        put(&*fixture.store, &[late]).await;
        stands("fifth").await;
    }
    put(
        &*fixture.store,
        &[version(5, "second"), version(6, "sixth"), version(3, "fifth")],
    )
    .await;
    stands("sixth").await;
}

pub(crate) async fn who_writes_the_same_flows_at_once_leaves_the_highest_versions(fixture: Fixture) {
    let write = |version: u64| {
        let store = if version.is_multiple_of(2) {
            fixture.store.clone()
        } else {
            fixture.other.clone()
        };
        async move {
            let rows = |number: u64| FlowRow {
                version,
                waits: vec![("paid".to_owned(), version.to_string())],
                ..flow(&format!("flow-{number}"), number)
            };
            let mut rows: Vec<FlowRow> = (0..40).map(rows).collect();
            rows.rotate_left(usize::try_from(version).unwrap() * 3);
            put(&*store, &rows).await;
        }
    };
    futures::future::join_all((1..=12).map(write)).await;
    let ids: Vec<String> = (0..40).map(|number| format!("flow-{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let versions = fixture.store.versions(&ids).await.unwrap();
    assert!(versions.len() == 40 && versions.values().all(|version| *version == 12));
    let keys: Vec<AwaitedKey> = (1..=12)
        .map(|version| key("paid", &version.to_string()))
        .collect();
    let waiting = waiting(&*fixture.store, &keys).await;
    assert!(waiting.len() == 40 && waiting.iter().all(|(key, _)| key.key == "12"));
}

pub(crate) async fn many_flows_are_written_together(fixture: Fixture) {
    let rows = |version| {
        let row = move |number: u64| FlowRow {
            version,
            waits: vec![("paid".to_owned(), number.to_string())],
            ..flow(&format!("flow-{number}"), number)
        };
        (0..2_500).map(row).collect::<Vec<_>>()
    };
    put(&*fixture.store, &rows(1)).await;
    put(&*fixture.store, &rows(2)[..1_200]).await;
    let written = rows(1);
    let versions = fixture.store.versions(&ids(&written)).await.unwrap();
    assert_eq!(versions.len(), 2_500);
    assert_eq!(versions.values().filter(|version| **version == 2).count(), 1_200);
    let keys: Vec<AwaitedKey> = (0..2_500)
        .map(|number| key("paid", &number.to_string()))
        .collect();
    assert_eq!(waiting(&*fixture.store, &keys).await.len(), 2_500);
}

pub(crate) async fn who_waits_is_found_by_step_and_key(fixture: Fixture) {
    let waits = |id: &str, waits: &[(&str, &str)]| FlowRow {
        waits: waits
            .iter()
            .map(|(step, key)| ((*step).to_owned(), (*key).to_owned()))
            .collect(),
        ..flow(id, 7)
    };
    let long = "k".repeat(64 << 10);
    let other = FlowRow {
        behaviour: "bafyother".to_owned(),
        ..waits("d", &[("paid", "x")])
    };
    let rows = [
        waits("a", &[("paid", "x"), ("paid", "x"), ("sent", "y")]),
        waits("b", &[("paid", "x")]),
        waits("c", &[("paid", &long), ("paid", "nul\0")]),
        other,
    ];
    put(&*fixture.store, &rows).await;
    let store = &*fixture.other;
    let found = |keys: &[(&AwaitedKey, &str)]| {
        let found = keys.iter().map(|(key, id)| ((*key).clone(), (*id).to_owned()));
        found.collect::<Vec<_>>()
    };
    let (x, y, long, nul) = (
        key("paid", "x"),
        key("sent", "y"),
        key("paid", &long),
        key("paid", "nul\0"),
    );
    let keys = [
        y.clone(),
        x.clone(),
        key("sent", "x"),
        key("paid", ""),
        long.clone(),
        nul.clone(),
    ];
    assert_eq!(
        waiting(store, &keys).await,
        found(&[(&y, "a"), (&x, "a"), (&x, "b"), (&long, "c"), (&nul, "c")])
    );
    assert_eq!(waiting(store, &[]).await, []);
    // They go on.
    let rows = [("a", &[][..]), ("b", &[("paid", "z")][..]), ("c", &[][..])];
    let rows = rows.map(|(id, now)| FlowRow {
        version: 2,
        ..waits(id, now)
    });
    put(&*fixture.store, &rows).await;
    assert_eq!(waiting(store, &keys).await, []);
    let z = key("paid", "z");
    assert_eq!(
        waiting(store, std::slice::from_ref(&z)).await,
        found(&[(&z, "b")])
    );
}

pub(crate) async fn what_no_database_takes_is_not_kept_and_finds_nothing(fixture: Fixture) {
    let odd = FlowRow {
        actor: "https://blog.example/\0".to_owned(),
        object: "https://blog.example/\0".to_owned(),
        activity_id: "https://blog.example/\0".to_owned(),
        cause: "it said \0".to_owned(),
        state: br#"{"a":"\u0000"}"#.to_vec(),
        ..flow("a", 7)
    };
    let kept = FlowRow {
        actor: String::new(),
        object: String::new(),
        activity_id: String::new(),
        cause: "it said \u{fffd}".to_owned(),
        ..odd.clone()
    };
    put(&*fixture.store, &[odd]).await;
    let store = &*fixture.other;
    assert_eq!(store.flows(&["a\0", "a", ""]).await.unwrap(), [kept]);
    assert_eq!(store.versions(&["a\0"]).await.unwrap(), HashMap::new());
    let term = SignedDuration::from_secs(1);
    assert_eq!(store.renew_flows("x", &["a\0"], term).await.unwrap(), [""; 0]);
    store.release_flows("x", Some(&["a\0"])).await.unwrap();
}
