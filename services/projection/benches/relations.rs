//! What relations cost at 100,000 edges: `cargo bench -p fedsx-projection --bench relations`. Rows in an SQLite file, and in
//! PostgreSQL where `FEDSX_TEST_POSTGRES` is set; every answer looks there for rows that have changed.

#![allow(clippy::unwrap_used, reason = "a benchmark says so where it fails")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fedsx_kernel::definition::{Derives, RelationRule};
use fedsx_projection::{
    relations::{EdgeQuery, End, MAX_GRAPH, Relations},
    shard::ShardId,
    store::{Advance, Change, Group, Store, postgres, sqlite},
};
use fedsx_runtime::clock::SystemClock;
use fedsx_testing::postgres::Database;
use jiff::SignedDuration;
use serde_json::json;

/// Posts, each with two tags of a thousand.
const POSTS: u64 = 45_000;
const TAGS: u64 = 1000;
/// Types, in a tree of which each has three children.
const TYPES: u64 = 10_000;
const PAGE: usize = 50;
const QUERIES: u64 = 2000;
const CHANGES: u64 = 200;
const VIEW: &str = "relations";
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = sqlite::open(folder.path().join("projection.db"), Arc::new(SystemClock));
        bench("SQLite", Arc::new(store.await.unwrap())).await;
        if std::env::var_os("FEDSX_TEST_POSTGRES").is_some() {
            let database = Database::create().await;
            bench(
                "PostgreSQL",
                Arc::new(postgres::open(database.url()).await.unwrap()),
            )
            .await;
        }
    });
}

async fn bench(name: &str, store: Arc<dyn Store>) {
    let mut view = View::declare(store.clone()).await;
    view.fill().await;
    let relations = Relations::new(store, MAX_GRAPH);
    let begun = Instant::now();
    page(&relations, 0, view.position).await;
    let edges = relations.size(VIEW).await.unwrap();
    println!(
        "{name}: {} edges of rows loaded and {edges} edges saturated in {} ms",
        2 * POSTS + TYPES - 1,
        begun.elapsed().as_millis()
    );
    let mut pages = Vec::new();
    for query in 0..QUERIES {
        let begun = Instant::now();
        let found = page(&relations, query % TAGS, 0).await;
        pages.push(begun.elapsed());
        assert_eq!(found, PAGE);
    }
    report(name, &format!("a tag page of {PAGE}"), pages);
    let (mut tagged, mut untagged, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for change in 0..CHANGES {
        let post = format!("https://blog.example/objects/{change}");
        let tags = [tag(change), tag(change + 1), "new".to_owned()];
        tagged.push(view.change(&relations, &post, &tags, "tag").await);
        untagged.push(view.change(&relations, &post, &tags[..2], "tag").await);
        // With what stands below it.
        let (kind, parent) = (100 + change, [change % 9].map(|parent| format!("type-{parent}")));
        moved.push(
            view.change(&relations, &format!("type-{kind}"), &parent, "subtypeOf")
                .await,
        );
    }
    report(name, "a page that shows an edge just written", tagged);
    report(name, "a page without an edge just deleted", untagged);
    report(name, "a page after a type of 121 below it has moved", moved);
}

fn report(name: &str, what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |hundredth: usize| times[(times.len() - 1) * hundredth / 100].as_secs_f64() * 1e3;
    println!("{name}: {what}: p50 {:.2} ms, p99 {:.2} ms", at(50), at(99));
}

fn tag(number: u64) -> String {
    format!("https://blog.example/tags/{}", number % TAGS)
}

async fn page(relations: &Relations, number: u64, at_least: u64) -> usize {
    let rule = |relation: &str, derives| RelationRule {
        relation: relation.to_owned(),
        derives,
    };
    let rules = [
        rule("subtypeOf", Derives::Transitive),
        rule("tags", Derives::InverseOf("tag".to_owned())),
    ];
    let query = EdgeQuery {
        relation: "tag".to_owned(),
        end: End::To,
        name: tag(number),
        after: String::new(),
        limit: PAGE,
    };
    let found = relations.find(VIEW, &rules, &query, at_least, PATIENCE).await;
    found.unwrap().edges.len()
}

/// A view whose rows are written as if by folds.
struct View {
    store: Arc<dyn Store>,
    shards: Vec<Advance>,
    position: u64,
}

impl View {
    async fn declare(store: Arc<dyn Store>) -> Self {
        let shards: Vec<ShardId> = ShardId::all(VIEW).collect();
        store.declare(&shards).await.unwrap();
        let group = Group {
            name: "views".to_owned(),
            shards,
        };
        let leases = store
            .hold(&group, "bench", SignedDuration::from_hours(1))
            .await
            .unwrap();
        let shards = leases.into_iter().map(|lease| Advance {
            shard: lease.shard,
            epoch: lease.epoch,
            from: 0,
            position: 0,
            count: 0,
            digest: lease.digest,
            halted: None,
            changes: Vec::new(),
        });
        Self {
            store,
            shards: shards.collect(),
            position: 0,
        }
    }

    fn put(&mut self, key: &str, to: &[String], relation: &str) {
        self.position += 1;
        let edges: Vec<_> = to
            .iter()
            .map(|to| json!({"relation": relation, "to": to}))
            .collect();
        let shard = ShardId::of(VIEW, key);
        let advance = self.shards.iter_mut().find(|advance| advance.shard == shard);
        advance.unwrap().changes.push(Change {
            key: key.to_owned(),
            peer: None,
            position: self.position,
            value: Some(json!(edges).to_string().into_bytes()),
        });
    }

    async fn commit(&mut self) {
        for advance in &mut self.shards {
            advance.position = self.position;
        }
        assert_eq!(self.store.commit(&self.shards).await.unwrap(), []);
        for advance in &mut self.shards {
            advance.from = self.position;
            advance.changes.clear();
        }
    }

    async fn fill(&mut self) {
        for post in 0..POSTS {
            let tags = [tag(post), tag(post + 1)];
            self.put(&format!("https://blog.example/objects/{post}"), &tags, "tag");
            if post % 1000 == 999 {
                self.commit().await;
            }
        }
        for kind in 1..TYPES {
            let parent = [format!("type-{}", (kind - 1) / 3)];
            self.put(&format!("type-{kind}"), &parent, "subtypeOf");
        }
        self.commit().await;
    }

    /// A row is written; how long a page takes that has seen it.
    async fn change(&mut self, relations: &Relations, key: &str, to: &[String], relation: &str) -> Duration {
        self.put(key, to, relation);
        self.commit().await;
        let begun = Instant::now();
        page(relations, 0, self.position).await;
        begun.elapsed()
    }
}
