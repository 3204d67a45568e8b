//! Which flows are listed, and which are forgotten.

use std::collections::BTreeSet;

use fedsx_kernel::flow::Status;
use jiff::SignedDuration;

use super::{
    Fixture,
    flows::{AT, flow, ids, key, put, waiting},
};
use crate::store::flows::{AwaitedKey, FlowQuery, FlowRow};

pub(crate) async fn flows_are_listed_by_what_is_asked_for(fixture: Fixture) {
    let private = FlowRow {
        public: false,
        status: Status::Failed,
        ..flow("b", 5)
    };
    let elsewhere = FlowRow {
        name: "welcome".to_owned(),
        object: "https://blog.example/objects/welcome".to_owned(),
        status: Status::Completed,
        ..flow("a", 5)
    };
    // Somebody names an activity as another one's CID.
    let odd = FlowRow {
        activity_id: "bafy5".to_owned(),
        object: String::new(),
        ..flow("d", 6)
    };
    put(&*fixture.store, &[odd, private, elsewhere, flow("c", 4)]).await;
    let list = async |query: FlowQuery| {
        let query = FlowQuery { limit: 10, ..query };
        let found = fixture.other.list_flows(&query).await.unwrap();
        ids(&found).join("")
    };
    let query = FlowQuery::default;
    let text = |text: &str| Some(text.to_owned());
    let object = "https://blog.example/objects/gig-night";
    let cases = [
        ("dabc", query()),
        (
            "dac",
            FlowQuery {
                public_only: true,
                ..query()
            },
        ),
        (
            "b",
            FlowQuery {
                statuses: vec![Status::Failed],
                ..query()
            },
        ),
        (
            "d",
            FlowQuery {
                prefix: text("d"),
                ..query()
            },
        ),
        (
            "",
            FlowQuery {
                prefix: text("d"),
                statuses: vec![Status::Failed],
                ..query()
            },
        ),
        (
            "",
            FlowQuery {
                prefix: text("da"),
                ..query()
            },
        ),
        (
            "abc",
            FlowQuery {
                statuses: vec![Status::Failed, Status::Completed, Status::Failed, Status::Running],
                after: Some((6, "d".to_owned())),
                ..query()
            },
        ),
        (
            "",
            FlowQuery {
                statuses: vec![Status::Cancelled],
                ..query()
            },
        ),
        (
            "a",
            FlowQuery {
                name: text("welcome"),
                ..query()
            },
        ),
        (
            "dab",
            FlowQuery {
                activity: text("bafy5"),
                ..query()
            },
        ),
        (
            "ab",
            FlowQuery {
                activity: text("https://blog.example/activities/bafy5"),
                ..query()
            },
        ),
        (
            "b",
            FlowQuery {
                activity: text("bafy5"),
                object: text(object),
                ..query()
            },
        ),
        (
            "bc",
            FlowQuery {
                object: text(object),
                ..query()
            },
        ),
        (
            "c",
            FlowQuery {
                object: text(object),
                statuses: vec![Status::Running],
                ..query()
            },
        ),
        (
            "c",
            FlowQuery {
                object: text(object),
                public_only: true,
                name: text("digest"),
                ..query()
            },
        ),
        (
            "",
            FlowQuery {
                object: text(""),
                ..query()
            },
        ),
        (
            "",
            FlowQuery {
                activity: text("bafy5\0"),
                ..query()
            },
        ),
        (
            "bc",
            FlowQuery {
                after: Some((5, "a\0".to_owned())),
                ..query()
            },
        ),
        (
            "",
            FlowQuery {
                after: Some((0, String::new())),
                ..query()
            },
        ),
    ];
    for (expected, query) in cases {
        assert_eq!(list(query.clone()).await, expected, "{query:?}");
    }
    let none = fixture.other.list_flows(&FlowQuery::default()).await.unwrap();
    assert_eq!(none, [], "a limit of 0");
}

pub(crate) async fn a_list_is_read_page_by_page(fixture: Fixture) {
    let row = |number: u64| FlowRow {
        status: Status::ALL[usize::try_from(number % 6).unwrap()],
        ..flow(&format!("flow-{:02}", number * 7 % 30), number / 4)
    };
    let rows: Vec<FlowRow> = (0..30).map(row).collect();
    put(&*fixture.store, &rows).await;
    let few = vec![Status::Running, Status::Failed, Status::Cancelled];
    for (statuses, limit) in [(vec![], 1), (vec![], 7), (few.clone(), 4), (few, 100)] {
        let mut expected: Vec<&FlowRow> = rows
            .iter()
            .filter(|row| statuses.is_empty() || statuses.contains(&row.status))
            .collect();
        expected.sort_by(|a, b| b.position.cmp(&a.position).then(a.id.cmp(&b.id)));
        let mut query = FlowQuery {
            statuses,
            limit,
            ..FlowQuery::default()
        };
        let mut found = Vec::new();
        loop {
            let page = fixture.other.list_flows(&query).await.unwrap();
            assert!(page.len() <= usize::try_from(limit).unwrap());
            let Some(last) = page.last() else { break };
            query.after = Some((last.position, last.id.clone()));
            found.extend(page);
        }
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }
}

pub(crate) async fn flows_that_are_over_are_forgotten_after_a_time(fixture: Fixture) {
    let row = |id: &str, status, seconds| FlowRow {
        status,
        moved_at: AT + SignedDuration::from_secs(seconds),
        waits: vec![("paid".to_owned(), id.to_owned())],
        ..flow(id, 7)
    };
    let rows = [
        row("a", Status::Completed, 1),
        row("b", Status::Cancelled, 2),
        row("c", Status::Failed, 1),
        row("d", Status::Waiting, 1),
        row("e", Status::Completed, 5),
        row("f", Status::Completed, 3),
    ];
    put(&*fixture.store, &rows).await;
    let before = AT + SignedDuration::from_secs(5);
    let mut turns = 0;
    while fixture.other.prune_flows(before, 2).await.unwrap() {
        turns += 1;
    }
    assert_eq!(turns, 2);
    let all = rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>();
    let left: BTreeSet<String> = fixture.store.versions(&all).await.unwrap().into_keys().collect();
    let expected = BTreeSet::from(["c", "d", "e"].map(str::to_owned));
    assert_eq!(left, expected);
    let keys: Vec<AwaitedKey> = all.iter().map(|id| key("paid", id)).collect();
    let waiting = waiting(&*fixture.store, &keys).await;
    assert_eq!(
        waiting.into_iter().map(|(_, id)| id).collect::<BTreeSet<_>>(),
        expected
    );
}
