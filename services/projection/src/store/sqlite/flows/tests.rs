//! What is asked of flows is found by an index.

use fedsx_kernel::flow::Status;
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _, Sqlite, SqlitePool};

use super::{claim, read, write};
use crate::store::flows::{AwaitedKey, AwaitedStep, FlowQuery, listing::listing};

/// The steps of a statement's plan.
async fn plan(pool: &SqlitePool, sql: &str) -> String {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let steps = sqlx::query(explain).fetch_all(pool).await.unwrap();
    steps
        .iter()
        .map(|step| step.get::<String, _>("detail") + "\n")
        .collect()
}

/// Each of these would be slow among many flows if it were answered by a scan, or sorted.
#[tokio::test]
async fn every_read_of_flows_goes_by_its_index() {
    let clock = std::sync::Arc::new(fedsx_runtime::clock::SystemClock);
    let store = crate::store::sqlite::memory(clock).await.unwrap();
    let wanted = AwaitedKey {
        step: AwaitedStep::default(),
        key: String::new(),
    };
    let text = || Some("x".to_owned());
    let list = |query: FlowQuery| {
        let after = Some((7, "x".to_owned()));
        let query: QueryBuilder<Sqlite> = listing(&FlowQuery { after, ..query });
        query.sql().as_str().to_owned()
    };
    let none = FlowQuery::default;
    let statuses = vec![Status::Failed, Status::Running];
    let cases = [
        (claim::DUE.to_owned(), "flow_due"),
        (claim::RELEASE_ALL.to_owned(), "flow_owner"),
        (write::PRUNABLE.to_owned(), "flow_over"),
        (list(none()), "flow_latest"),
        (
            list(FlowQuery {
                public_only: true,
                ..none()
            }),
            "flow_public",
        ),
        (list(FlowQuery { statuses, ..none() }), "flow_status"),
        (
            list(FlowQuery {
                name: text(),
                ..none()
            }),
            "flow_name",
        ),
        (
            list(FlowQuery {
                object: text(),
                ..none()
            }),
            "flow_object",
        ),
        (
            list(FlowQuery {
                activity: text(),
                ..none()
            }),
            "flow_activity_id",
        ),
    ];
    for (sql, index) in cases {
        let steps = plan(&store.pools.reader, &sql).await;
        assert!(steps.contains(index), "{sql}\n{steps}");
        assert!(!steps.contains("SCAN flow\n"), "{sql}\n{steps}");
        // What is merged of several parts is sorted; no part is.
        let lines: Vec<&str> = steps.lines().collect();
        let sorts = |pair: &[&str]| pair[0].starts_with("SEARCH flow") && pair[1].contains("FOR ORDER BY");
        assert!(!lines.windows(2).any(sorts), "{sql}\n{steps}");
    }
    let sql = read::waiting_query(&[wanted.clone(), wanted])
        .sql()
        .as_str()
        .to_owned();
    let steps = plan(&store.pools.reader, &sql).await;
    assert!(!steps.contains("SCAN flow"), "{steps}");
}
