//! What is asked often, or grows with the ledger, is found by an index.

use sqlx::Row as _;

use super::*;
use crate::ledger::{
    Filter, PageToken,
    conformance::{delivery, origin},
    postgres::{
        before, candidates, claim, endings, lanes, members, owed, peers, probe, prune, query, record, sweep,
    },
};

/// The plan of a statement as the ledger runs it, for whatever arguments of these types.
async fn plan(connection: &mut Connection, sql: &str) -> String {
    let prepare = format!("PREPARE statement AS {sql}");
    execute(connection, &prepare).await;
    let parameters: i32 = sqlx::query_scalar(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'statement'",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    let nulls = vec!["NULL"; usize::try_from(parameters).unwrap()].join(", ");
    let arguments = if parameters > 0 {
        format!("({nulls})")
    } else {
        String::new()
    };
    let explain = format!("EXPLAIN EXECUTE statement{arguments}");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    execute(connection, "DEALLOCATE statement").await;
    rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
}

/// In a small ledger as in a large one: the server keeps the plans that it makes while it is small.
#[tokio::test]
async fn every_statement_goes_by_its_index() {
    let (_database, ledger) = fresh().await;
    let rows: Vec<_> = (0..50)
        .map(|number| delivery(&format!("peer/{number}"), 1))
        .collect();
    insert(&ledger, &rows).await;
    let token = PageToken {
        position: 9,
        lane: LaneId(9),
    };
    let mut filters = Vec::new();
    for (states, origin, cid, address, index) in [
        (vec![], None, None, None, "delivery_position"),
        (vec!["pending"], None, None, None, "delivery_pending"),
        (vec!["dead"], None, None, None, "delivery_dead"),
        (vec!["refused", "dead"], None, None, None, "delivery_dead"),
        (vec![], Some("peer"), None, None, "lane_"),
        (vec![], None, Some("cid"), None, "delivery_cid"),
        (
            vec![],
            None,
            None,
            Some("address"),
            "lane_address_actor_replay_key",
        ),
    ] {
        let filter = Filter {
            states: states.iter().map(|state| state.parse().unwrap()).collect(),
            origin: origin.map(origin_named),
            cid: cid.map(str::to_owned),
            address: address.map(str::to_owned),
        };
        for after in [None, Some(token)] {
            filters.push((query::page(&filter, after, 10).sql().as_str().to_owned(), index));
        }
    }
    let statements = [
        (claim::CANDIDATES, "lane_state_pkey"),
        (claim::HELD, "lane_state_pkey"),
        (candidates::CLAIMED, "lane_origin"),
        (owed::TAKE, "delivery_pending"),
        (probe::FIRST, "delivery_pending"),
        (before::ORIGINS, "origin_pkey"),
        (before::LANES, "lane_state_pkey"),
        (before::ROWS, "delivery_"),
        (record::WRITE, "delivery_"),
        (record::END_SURPLUS, "delivery_pending"),
        (record::RELEASE, "delivery_pending"),
        (sweep::NEXT, "lane_sweep"),
        (sweep::WELL, "lane_sweep"),
        (sweep::FAILING, "origin_troubled"),
        (lanes::FIND, "lane_address_actor_replay_key"),
        (peers::PARKED, "origin_troubled"),
        (peers::BACKLOG, "lane_origin"),
        (prune::DELIVERED, "delivery_settled"),
        (endings::UNTOLD, "delivery_untold"),
        (endings::TOLD, "delivery_"),
        (query::PENDING, "delivery_pending"),
        (query::LANES_DUE, "lane_sweep"),
        (query::PEERS, "delivery_dead"),
        (query::PEER, "delivery_dead"),
        (members::ALL, "audience_pkey"),
        (members::ALL_OF, "audience_"),
        (members::NAMED, "audience_pkey"),
        (members::NAMED_OF, "audience_"),
    ];
    let statements = statements.map(|(sql, index)| (sql.to_owned(), index));
    let mut connection = ledger.pool.acquire().await.unwrap();
    execute(&mut connection, "SET plan_cache_mode = force_generic_plan").await;
    for (sql, index) in statements.iter().chain(&filters) {
        let plan = plan(&mut connection, sql).await;
        assert!(plan.contains(index), "{sql}\n{plan}");
        for table in ["delivery", "lane", "lane_state", "audience", "origin"] {
            let scan = format!("Seq Scan on {table} ");
            assert!(!plan.contains(&scan), "{sql}\n{plan}");
        }
    }
}

fn origin_named(name: &str) -> fedsx_kernel::origin::Origin {
    origin(name)
}
