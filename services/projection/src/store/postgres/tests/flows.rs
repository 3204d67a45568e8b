//! What is asked of flows is found by an index, however many there are.

use fedsx_kernel::flow::Status;

use super::*;
use crate::store::{
    flows::{Claim, FlowQuery, FlowRow, FlowStore as _, Holder, listing::listing},
    postgres::flows::{claim, read, write},
};

/// Flows that wait for an activity and for a time that is far, those that wait for a person, those that are over, and
/// those that nobody can go on with.
const MANY: &str = "
    INSERT INTO flow (id, name, behaviour, activity, activity_id, activity_id_hash, position, verb, actor, object,
                      object_hash, public, started_at, version, last_position, moved_at, status, cause, needs, due, owner,
                      claim_until, waits, state)
    SELECT 'flow-' || n, CASE WHEN n % 9000 = 0 THEN 'rare' ELSE 'digest' END, 'bafybehaviour', 'bafy' || n, 'https://' || n, sha256(n::text::bytea), n,
           'Update', 'alice', 'https://' || n % 900, sha256((n % 900)::text::bytea), n % 9000 = 0, n, 3, n, n,
           (ARRAY['waiting', 'waiting', 'completed', 'running'])[n % 4 + 1], '',
           (ARRAY['suspend', 'suspend', '', 'mail'])[n % 4 + 1],
           (ARRAY[9000000000000000, NULL, NULL, 1])[n % 4 + 1], '', 0, '[]', decode(repeat('7b', 400), 'hex')
    FROM generate_series(1, 40000) AS n;
    INSERT INTO flow_wait (behaviour, step, key_hash, flow)
    SELECT behaviour, 'approved', sha256(id::bytea), id FROM flow WHERE status = 'waiting'";

/// Lists of what is rare, with arguments and the index that they go by.
fn lists() -> Vec<(String, String, &'static str)> {
    let text = |text: &str| Some(text.to_owned());
    let none = FlowQuery::default;
    let (public_only, statuses) = (true, vec![Status::Failed, Status::Cancelled]);
    let (page, last) = ("39000, 39000, 'flow-1', 20", "20");
    let cases = [
        (none(), vec![page], "flow_latest"),
        (
            FlowQuery {
                public_only,
                ..none()
            },
            vec![page],
            "flow_public",
        ),
        (FlowQuery { statuses, ..none() }, vec![page, page], "flow_status"),
        (
            FlowQuery {
                prefix: text("flow-12345"),
                ..none()
            },
            vec!["'flow-12345'", "'flow-12345{'", page],
            "flow_pkey",
        ),
        (
            FlowQuery {
                name: text("rare"),
                ..none()
            },
            vec!["'rare'", page],
            "flow_name",
        ),
        (
            FlowQuery {
                object: text("o"),
                ..none()
            },
            vec!["'o'", "'o'", page],
            "flow_object",
        ),
        (
            FlowQuery {
                activity: text("a"),
                ..none()
            },
            vec!["'a'", page, "'a'", "'a'", "'a'", page],
            "flow_activity_id",
        ),
    ];
    let sql = |(query, mut arguments, index): (FlowQuery, Vec<&str>, _)| {
        let query = FlowQuery {
            after: Some((39_000, "flow-1".to_owned())),
            limit: 20,
            ..query
        };
        let sql = listing::<sqlx::Postgres>(&query).sql().as_str().to_owned();
        arguments.push(last);
        (sql, arguments.join(", "), index)
    };
    cases.into_iter().map(sql).collect()
}

#[tokio::test]
async fn every_statement_on_flows_goes_by_its_index() {
    let (_database, _store, mut beside) = beside().await;
    let statements = [
        (claim::CLAIM, "flow_due"),
        (claim::RENEW, "flow_pkey"),
        (claim::RELEASE, "flow_pkey"),
        (claim::RELEASE_ALL, "flow_owner"),
        (write::HAND_OVER, "flow_pkey"),
        (write::FORGET_WAITS, "flow_wait_flow"),
        (write::PRUNE, "flow_over"),
        (read::FLOWS, "flow_pkey"),
        (read::VERSIONS, "flow_pkey"),
        (read::WAITING, "flow_wait_pkey"),
    ];
    beside.execute(MANY).await.unwrap();
    beside.execute("VACUUM ANALYZE flow, flow_wait").await.unwrap();
    let mut plans = Vec::new();
    for (sql, arguments, index) in lists() {
        plans.push((plan(&mut beside, &sql, &arguments).await, index));
    }
    beside
        .execute("SET plan_cache_mode = force_generic_plan")
        .await
        .unwrap();
    for (sql, index) in statements {
        plans.push((any_plan(&mut beside, sql).await, index));
    }
    for (plan, index) in plans {
        assert!(plan.contains(index), "{plan}");
        for table in ["flow", "flow_wait"] {
            assert!(!plan.contains(&format!("Seq Scan on {table} ")), "{plan}");
        }
    }
}

/// The plan of a statement for whatever arguments.
async fn any_plan(connection: &mut PgConnection, sql: &str) -> String {
    let count = (1..=40).rev().find(|number| sql.contains(&format!("${number}")));
    let arguments = vec!["NULL"; count.unwrap_or_default()].join(", ");
    plan(connection, sql, &arguments).await
}

/// A runner asks again and again.
#[tokio::test]
async fn flows_that_wait_cost_a_claim_and_a_prune_nothing() {
    let (_database, store, mut beside) = beside().await;
    beside.execute(MANY).await.unwrap();
    beside.execute("VACUUM ANALYZE flow, flow_wait").await.unwrap();
    for (sql, arguments) in [
        (claim::CLAIM, "NULL, 'x', 9, ARRAY['suspend', 'branch', ''], 50"),
        (write::PRUNE, "1, 50"),
    ] {
        let prepare = format!("PREPARE statement AS {sql}");
        beside.execute(AssertSqlSafe(prepare)).await.unwrap();
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE statement({arguments})");
        let explained = beside.fetch_one(AssertSqlSafe(explain)).await.unwrap();
        let explained: serde_json::Value = explained.get(0);
        let plan = &explained[0]["Plan"];
        let pages = [&plan["Shared Hit Blocks"], &plan["Shared Read Blocks"]];
        let pages: u64 = pages.map(|pages| pages.as_u64().unwrap()).iter().sum();
        assert!(pages < 30, "{pages} pages: {explained:#}");
        beside.execute("DEALLOCATE statement").await.unwrap();
    }
    let claim = Claim {
        owner: "x",
        kinds: &["suspend"],
        term: TERM,
        limit: 50,
    };
    assert_eq!(store.claim_flows(&claim).await.unwrap(), [] as [FlowRow; 0]);
}

#[tokio::test]
async fn claims_pass_over_what_somebody_writes_and_expire_by_the_databases_clock() {
    let (_database, store, mut beside) = beside().await;
    let due = |id: &str| FlowRow {
        due: Some(Timestamp::UNIX_EPOCH),
        ..conformance::flows::flow(id, 7)
    };
    let term = SignedDuration::from_millis(400);
    let begun = Instant::now();
    let rows = [due("a"), due("b")];
    store.put_flows(&rows, Holder::Takes("x", term)).await.unwrap();
    let mut open = beside.begin().await.unwrap();
    open.execute("UPDATE flow SET cause = 'somebody' WHERE id = 'a'")
        .await
        .unwrap();
    let claim = Claim {
        owner: "y",
        kinds: &[],
        term: TERM,
        limit: 50,
    };
    let claimed = loop {
        let claimed = store.claim_flows(&claim).await.unwrap();
        if !claimed.is_empty() {
            break claimed;
        }
    };
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert_eq!(claimed, [due("b")]);
    open.rollback().await.unwrap();
    assert_eq!(store.claim_flows(&claim).await.unwrap(), [due("a")]);
}
