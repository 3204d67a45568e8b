//! Every statement finds what it wants by an index, whatever the planner believes about the tables.

use fedsx_testing::postgres::Database;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    super::{facts, peer_type, read, write},
    execute, open, outside,
};
use crate::store::{By, PageQuery};

/// The plan that a statement is run by when it was prepared before.
async fn plan(connection: &mut PgConnection, statement: &str) -> String {
    let parameters = (1..)
        .take_while(|number| statement.contains(&format!("${number}")))
        .count();
    let nulls = vec!["NULL"; parameters].join(", ");
    execute(connection, &format!("PREPARE planned AS {statement}")).await;
    let explain = format!(
        "EXPLAIN EXECUTE planned{}",
        if parameters == 0 {
            String::new()
        } else {
            format!("({nulls})")
        }
    );
    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    execute(connection, "DEALLOCATE planned").await;
    lines.join("\n")
}

/// The indexes that a plan uses, each once.
fn indexes(plan: &str) -> Vec<&str> {
    let mut indexes: Vec<_> = plan
        .lines()
        .filter_map(|line| line.split_once(" using ")?.1.split_whitespace().next())
        .collect();
    indexes.sort_unstable();
    indexes.dedup();
    indexes
}

fn page(stream: bool, public_only: bool, descending: bool) -> String {
    let query = PageQuery {
        stream: stream.then(|| "outbox/alice".to_owned()),
        public_only,
        descending,
        from: 0,
        limit: 9,
        max_bytes: 99,
    };
    read::several(&query).into_string()
}

/// The statement for facts of every kind.
fn every_fact() -> String {
    let mut asked = facts::Asked::default();
    for names in [&mut asked.cids, &mut asked.foreign_ids, &mut asked.draft_keys] {
        names.texts.push("a");
    }
    for keys in [&mut asked.kv_keys, &mut asked.signing_keys] {
        keys.push("a");
    }
    asked.statement()
}

/// Statements, and the indexes that they are to use.
fn statements() -> Vec<(String, Vec<&'static str>)> {
    let one = |by| read::one(&by).unwrap().into_string();
    let mut statements = vec![
        (
            every_fact(),
            vec![
                "definition_pkey",
                "draft_key_pkey",
                "entry_cid",
                "entry_foreign_id",
                "entry_pkey",
                "entry_stream",
                "kv_head_pkey",
                "kv_pkey",
                "head_pkey",
                "stream_name_key",
            ],
        ),
        (write::KV.to_owned(), vec!["kv_head_pkey", "kv_pkey"]),
        (write::ENTRIES.to_owned(), vec![]),
        (write::DEFINITIONS.to_owned(), vec![]),
        (read::DEFINITIONS.to_owned(), vec!["definition_pkey"]),
        (
            read::HEAD.to_owned(),
            vec!["definition_pkey", "entry_pkey", "head_pkey", "kv_head_pkey"],
        ),
        (one(By::Position(1)), vec!["entry_pkey", "stream_pkey"]),
        (
            one(By::Cid("a".to_owned())),
            vec!["entry_cid", "entry_pkey", "stream_pkey"],
        ),
        (
            one(By::ActivityId("a".to_owned())),
            vec!["entry_cid", "entry_foreign_id", "entry_pkey", "stream_pkey"],
        ),
        (
            read::several_at(&[1], 1).into_string(),
            vec!["entry_pkey", "stream_pkey"],
        ),
        (
            read::kv_range("stock", "a", "", 9, 9).into_string(),
            vec!["kv_pkey"],
        ),
    ];
    statements.extend([
        (peer_type::GET.to_owned(), vec!["peer_type_pkey"]),
        (peer_type::LIST.to_owned(), vec!["peer_type_pkey"]),
        (peer_type::DISCARD.to_owned(), vec!["peer_type_pkey"]),
    ]);
    for descending in [false, true] {
        let in_stream = vec!["entry_stream", "stream_name_key", "stream_pkey"];
        statements.push((page(false, false, descending), vec!["entry_pkey", "stream_pkey"]));
        statements.push((page(false, true, descending), vec!["entry_public", "stream_pkey"]));
        statements.push((page(true, false, descending), in_stream.clone()));
        statements.push((page(true, true, descending), in_stream));
    }
    statements
}

async fn assert_plans(connection: &mut PgConnection, when: &str) {
    for (statement, mut expected) in statements() {
        let plan = plan(connection, &statement).await;
        expected.sort_unstable();
        assert_eq!(indexes(&plan), expected, "{when}: {statement}\n{plan}");
        // Nothing is read that is not wanted, but for the body's bytes that end a page, and an id's other part.
        let is_read_in_vain = |line: &str| {
            line.contains("Seq Scan")
                || line.contains("Filter: ") && !line.contains("before") && !line.contains("id_prefix")
        };
        assert!(!plan.lines().any(is_read_in_vain), "{when}: {statement}\n{plan}");
    }
}

/// As many entries of each stream, every second one public; streams with even numbers have no public ones.
fn entries(streams: u32, entries: u32) -> String {
    format!(
        "INSERT INTO stream (id, name) SELECT n, 'stream ' || n FROM generate_series(1, {streams}) AS n ON CONFLICT DO NOTHING;
         INSERT INTO entry SELECT n, n % {streams} + 1, n / {streams} + 1, n, n, n, n, n % 2 = 0, 'cid ' || n, NULL, 'id ' || n, '{{}}', 'body'
         FROM generate_series((SELECT coalesce(max(position), 0) + 1 FROM entry), {entries}) AS n;
         INSERT INTO draft_key SELECT stream, 'key', min(position) FROM entry GROUP BY stream ON CONFLICT DO NOTHING;
         INSERT INTO kv SELECT 'stock', n, n, 'value' FROM generate_series(1, {entries}) AS n ON CONFLICT DO NOTHING;
         ANALYZE"
    )
}

#[tokio::test]
async fn statements_go_by_index_whatever_the_statistics_say() {
    let database = Database::create().await;
    let store = open(database.url()).await.unwrap();
    let mut connection = store.reader.acquire().await.unwrap();
    assert_plans(&mut connection, "empty").await;
    let mut outside = outside(database.url()).await;
    execute(&mut outside, "SET search_path = log").await;
    execute(&mut outside, &entries(1, 3000)).await;
    assert_plans(&mut connection, "one stream").await;
    execute(&mut outside, &entries(700, 20_000)).await;
    assert_plans(&mut connection, "many streams").await;
}
