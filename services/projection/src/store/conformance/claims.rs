//! Who works on which flow.

use std::collections::BTreeSet;

use fedsx_kernel::flow::Status;
use jiff::SignedDuration;

use super::{
    Fixture, TERM,
    flows::{AT, flow, put},
};
use crate::store::{
    Store,
    flows::{Claim, FlowQuery, FlowRow, Holder},
};

const MICROSECOND: SignedDuration = SignedDuration::from_micros(1);

/// A flow that has been due for so many seconds, and needs this.
fn due(id: &str, seconds: i64, needs: &str) -> FlowRow {
    FlowRow {
        due: Some(AT - SignedDuration::from_secs(seconds)),
        needs: needs.to_owned(),
        ..flow(id, 7)
    }
}

async fn claim(store: &dyn Store, owner: &str, kinds: &[&str], limit: u32) -> Vec<String> {
    let claim = Claim {
        owner,
        kinds,
        term: TERM,
        limit,
    };
    let claimed = store.claim_flows(&claim).await.unwrap();
    claimed.into_iter().map(|flow| flow.id).collect()
}

pub(crate) async fn what_has_been_due_for_longest_is_claimed_first_and_once(fixture: Fixture) {
    let soon = FlowRow {
        due: Some(fixture_now(&fixture) + MICROSECOND),
        ..flow("soon", 7)
    };
    let rows = [
        due("a", 1, ""),
        due("b", 9, ""),
        due("c", 5, ""),
        soon,
        flow("never", 7),
    ];
    put(&*fixture.store, &rows).await;
    let whole = fixture
        .store
        .claim_flows(&Claim {
            owner: "x",
            kinds: &[],
            term: TERM,
            limit: 1,
        })
        .await
        .unwrap();
    assert_eq!(whole, [due("b", 9, "")], "it is answered as it was written");
    assert_eq!(claim(&*fixture.other, "y", &[], 0).await, [""; 0]);
    assert_eq!(claim(&*fixture.other, "y", &[], 9).await, ["c", "a"]);
    assert_eq!(claim(&*fixture.store, "x", &[], 9).await, [""; 0]);
    fixture.clock.advance(MICROSECOND);
    assert_eq!(claim(&*fixture.store, "x", &[], 9).await, ["soon"]);
}

fn fixture_now(fixture: &Fixture) -> jiff::Timestamp {
    use fedsx_runtime::clock::Clock as _;
    fixture.clock.now()
}

pub(crate) async fn a_flow_goes_to_who_can_do_what_it_needs(fixture: Fixture) {
    let rows = [
        due("mail-1", 9, "mail"),
        due("any", 8, ""),
        due("emit", 7, "emit"),
        due("mail-2", 6, "mail"),
        due("put", 5, "put"),
    ];
    put(&*fixture.store, &rows).await;
    assert_eq!(claim(&*fixture.store, "x", &["notify"], 9).await, ["any"]);
    let kinds = ["put", "mail", "mail", ""];
    assert_eq!(claim(&*fixture.other, "y", &kinds, 2).await, ["mail-1", "mail-2"]);
    assert_eq!(claim(&*fixture.other, "y", &kinds, 2).await, ["put"]);
    assert_eq!(claim(&*fixture.other, "y", &["emit"], 2).await, ["emit"]);
}

pub(crate) async fn claims_expire_by_the_stores_clock(fixture: Fixture) {
    put(&*fixture.store, &[due("a", 1, ""), due("b", 2, "")]).await;
    assert_eq!(claim(&*fixture.store, "x", &[], 9).await, ["b", "a"]);
    fixture.clock.advance(TERM - MICROSECOND);
    assert_eq!(claim(&*fixture.other, "y", &[], 9).await, [""; 0]);
    let renewed = fixture.store.renew_flows("x", &["b", "c"], TERM).await.unwrap();
    assert_eq!(renewed, ["b"]);
    assert_eq!(
        fixture.other.renew_flows("y", &["a", "b"], TERM).await.unwrap(),
        [""; 0]
    );
    fixture.clock.advance(MICROSECOND);
    assert_eq!(claim(&*fixture.other, "y", &[], 9).await, ["a"]);
    let renewed = fixture.store.renew_flows("x", &["a", "b"], TERM).await.unwrap();
    assert_eq!(renewed, ["b"], "the other is somebody else's");
    fixture.clock.advance(TERM);
    assert_eq!(claim(&*fixture.other, "y", &[], 9).await, ["b", "a"]);
}

pub(crate) async fn claims_are_given_back(fixture: Fixture) {
    let rows = [due("a", 1, ""), due("b", 2, ""), due("c", 3, ""), due("d", 4, "")];
    put(&*fixture.store, &rows).await;
    assert_eq!(claim(&*fixture.store, "y", &[], 1).await, ["d"]);
    assert_eq!(claim(&*fixture.store, "x", &[], 9).await, ["c", "b", "a"]);
    fixture.store.release_flows("x", Some(&["a", "d"])).await.unwrap();
    assert_eq!(claim(&*fixture.other, "z", &[], 9).await, ["a"], "d is not x's");
    fixture.store.release_flows("x", None).await.unwrap();
    fixture.store.release_flows("", None).await.unwrap();
    assert_eq!(claim(&*fixture.other, "z", &[], 9).await, ["c", "b"]);
    fixture.other.release_flows("z", Some(&[])).await.unwrap();
    assert_eq!(claim(&*fixture.store, "x", &[], 9).await, [""; 0]);
}

/// The versions of a flow: one that counts, one that was there before.
const COUNTS: [u64; 2] = [2, 1];

fn version(version: u64) -> FlowRow {
    FlowRow {
        version,
        ..due("a", 1, "")
    }
}

/// Whether this owner, and no other, holds the claim.
async fn holds(store: &dyn Store, owner: &str) -> bool {
    let renewed = store.renew_flows(owner, &["a"], TERM).await.unwrap();
    renewed == ["a"] && claim(store, "somebody", &[], 1).await.is_empty()
}

pub(crate) async fn who_writes_a_flow_may_leave_its_claim(fixture: Fixture) {
    for (round, written) in COUNTS.into_iter().enumerate() {
        let round = u64::try_from(round).unwrap() * 10;
        put(&*fixture.store, &[version(round + 1)]).await;
        let row = [version(round + written)];
        assert_eq!(claim(&*fixture.store, "x", &[], 1).await, ["a"]);
        let taken = fixture.other.put_flows(&row, Holder::Same).await.unwrap();
        assert!(taken.is_empty());
        assert!(holds(&*fixture.store, "x").await, "it stays as it is");
        let row = [version(round + written + 1)];
        fixture.other.put_flows(&row, Holder::Leaves("y")).await.unwrap();
        assert!(holds(&*fixture.store, "x").await, "it was not y's");
        let row = [version(round + written * 2)];
        fixture.other.put_flows(&row, Holder::Leaves("x")).await.unwrap();
        assert!(!holds(&*fixture.store, "x").await);
        fixture.store.release_flows("somebody", None).await.unwrap();
    }
}

pub(crate) async fn who_writes_a_flow_may_take_it(fixture: Fixture) {
    let takes = |owner| Holder::Takes(owner, TERM);
    let put = async |number, owner| {
        let row = [version(number)];
        let taken = fixture.store.put_flows(&row, takes(owner)).await.unwrap();
        let is_held = holds(&*fixture.store, owner).await;
        assert_eq!(
            taken.contains("a"),
            is_held,
            "{owner} is told whether it is theirs"
        );
    };
    put(1, "x").await;
    assert!(holds(&*fixture.store, "x").await, "a new one");
    for number in COUNTS {
        put(number, "y").await;
        assert!(holds(&*fixture.store, "x").await, "it is x's");
    }
    for number in [3, 3] {
        fixture.clock.advance(TERM - MICROSECOND);
        put(number, "x").await;
        fixture.clock.advance(MICROSECOND);
        assert!(holds(&*fixture.store, "x").await, "prolonged");
    }
    for (number, owner) in [(4, "y"), (4, "z")] {
        fixture.clock.advance(TERM);
        put(number, owner).await;
        assert!(holds(&*fixture.store, owner).await, "it was nobody's any more");
    }
    fixture.store.release_flows("z", None).await.unwrap();
    put(4, "x").await;
    assert!(holds(&*fixture.store, "x").await, "it was nobody's");
}

pub(crate) async fn many_claim_at_once_and_none_is_given_twice(fixture: Fixture) {
    let kinds = ["", "mail", "emit"];
    let row = |number: u32| {
        due(
            &format!("flow-{number}"),
            i64::from(number),
            kinds[number as usize % 3],
        )
    };
    let rows: Vec<FlowRow> = (0..300).map(row).collect();
    put(&*fixture.store, &rows).await;
    let work = |number: usize| {
        let store = if number.is_multiple_of(2) {
            fixture.store.clone()
        } else {
            fixture.other.clone()
        };
        async move {
            let owner = format!("runner-{number}");
            let mut claimed = Vec::new();
            // Of what others are just taking, one may see nothing.
            for _ in 0..12 {
                claimed.extend(claim(&*store, &owner, &["mail", "emit"], 7).await);
            }
            claimed
        }
    };
    let claimed = futures::future::join_all((0..8).map(work)).await;
    let mut taken = BTreeSet::new();
    for id in claimed.into_iter().flatten() {
        assert!(taken.insert(id.clone()), "{id} was given twice");
    }
    let mut rest = claim(&*fixture.store, "last", &kinds, 300).await;
    rest.extend(taken);
    assert_eq!(rest.len(), 300);
}

pub(crate) async fn claims_and_writes_at_once_lose_nothing(fixture: Fixture) {
    let rows: Vec<FlowRow> = (0..60)
        .map(|number| due(&format!("flow-{number}"), 1, ""))
        .collect();
    put(&*fixture.store, &rows).await;
    let work = |number: usize| {
        let store = if number.is_multiple_of(2) {
            fixture.store.clone()
        } else {
            fixture.other.clone()
        };
        async move {
            let owner = format!("runner-{number}");
            let mut done = 0;
            // Each flow goes through three versions.
            loop {
                let claim = Claim {
                    owner: &owner,
                    kinds: &[],
                    term: TERM,
                    limit: 5,
                };
                let flows = store.claim_flows(&claim).await.unwrap();
                let moved = flows.iter().map(|flow| FlowRow {
                    version: flow.version + 1,
                    due: flow.due.filter(|_| flow.version < 3),
                    status: Status::Waiting,
                    ..flow.clone()
                });
                let moved: Vec<FlowRow> = moved.collect();
                let ids: Vec<&str> = moved.iter().map(|flow| flow.id.as_str()).collect();
                assert_eq!(
                    store.renew_flows(&owner, &ids, TERM).await.unwrap().len(),
                    ids.len()
                );
                store.put_flows(&moved, Holder::Leaves(&owner)).await.unwrap();
                done += moved.len();
                let query = FlowQuery {
                    limit: 60,
                    ..FlowQuery::default()
                };
                let all = store.list_flows(&query);
                if all.await.unwrap().iter().all(|flow| flow.due.is_none()) {
                    break done;
                }
            }
        }
    };
    let done = futures::future::join_all((0..6).map(work)).await;
    assert_eq!(done.into_iter().sum::<usize>(), 180, "each step once");
}

pub(crate) async fn runners_are_known_for_a_term(fixture: Fixture) {
    let runners = async || fixture.other.runners().await.unwrap();
    let told = |owner: &str, kinds: &[&str]| {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
        (owner.to_owned(), kinds)
    };
    let store = &*fixture.store;
    assert_eq!(runners().await, []);
    store.advertise("y", &["mail", "emit"], Some(TERM)).await.unwrap();
    store.advertise("x", &[], Some(TERM)).await.unwrap();
    assert_eq!(runners().await, [told("x", &[]), told("y", &["mail", "emit"])]);
    fixture.clock.advance(TERM - MICROSECOND);
    store.advertise("x", &["put"], Some(TERM)).await.unwrap();
    assert_eq!(runners().await.len(), 2);
    fixture.clock.advance(MICROSECOND);
    assert_eq!(runners().await, [told("x", &["put"])]);
    fixture.other.advertise("z", &["emit"], Some(TERM)).await.unwrap();
    store.advertise("x", &["put"], None).await.unwrap();
    assert_eq!(runners().await, [told("z", &["emit"])]);
}
