use std::collections::{BTreeMap, BTreeSet};

use fedsx_kernel::definition::Derives;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{index::Index, reference, *};
use crate::{
    shard::{ShardId, lease::Lease},
    store::{
        Advance, Change, Row,
        conformance::{TERM, group, lease_of, step},
    },
    testing::node,
};

const PATIENCE: Duration = Duration::from_secs(120);

fn rule(relation: &str, derives: Derives) -> RelationRule {
    RelationRule {
        relation: relation.to_owned(),
        derives,
    }
}

fn edge(relation: &str, to: &str) -> Value {
    json!({"relation": relation, "to": to})
}

/// Every edge that is found by either of its ends.
fn all(index: &Index, relations: &[&str], ends: &[String]) -> BTreeMap<reference::Edge, bool> {
    let mut found = BTreeMap::new();
    for (relation, name) in relations
        .iter()
        .flat_map(|one| ends.iter().map(move |end| (*one, end)))
    {
        let query = |end| EdgeQuery {
            relation: relation.to_owned(),
            end,
            name: name.clone(),
            after: String::new(),
            limit: usize::MAX,
        };
        for edge in index.find(&query(End::From)) {
            found.insert(
                (relation.to_owned(), name.clone(), edge.other.to_string()),
                edge.derived,
            );
        }
        for edge in index.find(&query(End::To)) {
            let place = (relation.to_owned(), edge.other.to_string(), name.clone());
            assert_eq!(found.get(&place).copied().unwrap_or(edge.derived), edge.derived);
            found.insert(place, edge.derived);
        }
    }
    found
}

mod laws {
    use super::*;

    const RELATIONS: [&str; 3] = ["a", "b", "c"];
    const ENDS: usize = 6;

    fn relation() -> impl Strategy<Value = String> {
        prop::sample::select(RELATIONS.to_vec()).prop_map(str::to_owned)
    }

    fn any_rule() -> impl Strategy<Value = RelationRule> {
        let derives = prop_oneof![
            Just(Derives::Transitive),
            Just(Derives::Symmetric),
            relation().prop_map(Derives::InverseOf),
            relation().prop_map(Derives::Includes),
            (relation(), relation()).prop_map(|(first, second)| Derives::ComposedOf(first, second)),
        ];
        (relation(), derives).prop_map(|(relation, derives)| RelationRule { relation, derives })
    }

    /// A row's new value: edges, from its key or from elsewhere.
    fn row() -> impl Strategy<Value = Value> {
        let edge = (relation(), prop::option::of(0..ENDS), 0..ENDS).prop_map(|(relation, from, to)| {
            let mut edge = edge(&relation, &format!("n{to}"));
            if let Some(from) = from {
                edge["from"] = format!("n{from}").into();
            }
            edge
        });
        prop::collection::vec(edge, 0..4).prop_map(Value::Array)
    }

    /// Batches of rows that are written.
    fn batches() -> impl Strategy<Value = Vec<Vec<(String, Value)>>> {
        let written = (0..ENDS, row()).prop_map(|(key, row)| (format!("n{key}"), row));
        prop::collection::vec(prop::collection::vec(written, 0..4), 1..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_kept_up_is_what_follows_from_scratch(
            rules in prop::collection::vec(any_rule(), 0..5), batches in batches()
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let graph = Graph::start(rules.clone(), MAX_GRAPH);
            let ends: Vec<String> = (0..ENDS).map(|end| format!("n{end}")).collect();
            let mut rows: BTreeMap<String, Value> = BTreeMap::new();
            for (position, batch) in (1..).zip(batches) {
                rows.extend(batch.iter().cloned());
                let row = |(key, value): &(String, Value)| Row {
                    key: key.clone(), value: value.to_string().into_bytes(), position,
                };
                runtime.block_on(graph.rows(batch.iter().map(row).collect())).unwrap();
                runtime.block_on(graph.settle(Reach { position, halted: None })).unwrap();
                let said: BTreeSet<reference::Edge> = rows.iter()
                    .flat_map(|(key, row)| edges::of_row(key, row))
                    .map(|said| (said.relation.to_owned(), said.from.to_owned(), said.to.to_owned()))
                    .collect();
                let expected: BTreeMap<_, _> = reference::saturated(&said, &rules).into_iter()
                    .map(|edge| { let derived = !said.contains(&edge); (edge, derived) })
                    .collect();
                let index = runtime.block_on(graph.index());
                prop_assert_eq!(index.len(), expected.len());
                prop_assert_eq!(all(&index, &RELATIONS, &ends), expected);
            }
        }
    }
}

/// A view `v` whose rows are written as if by folds.
struct World {
    store: Arc<dyn Store>,
    leases: Vec<Lease>,
    relations: Relations,
    rules: Vec<RelationRule>,
}

impl World {
    async fn new(rules: Vec<RelationRule>, limit: usize) -> Self {
        let store = node::store().await;
        store.declare(&group().shards).await.unwrap();
        let leases = store.hold(&group(), "a", TERM).await.unwrap();
        Self {
            relations: Relations::new(store.clone(), limit),
            store,
            leases,
            rules,
        }
    }

    /// The shard of a row moves to a position.
    async fn put(&mut self, position: u64, key: &str, edges: Value) {
        let advance = Advance {
            changes: vec![Change {
                key: key.to_owned(),
                peer: None,
                position,
                value: Some(edges.to_string().into_bytes()),
            }],
            ..step(lease_of(&self.leases, key), position, &[])
        };
        self.commit(advance).await;
    }

    async fn commit(&mut self, advance: Advance) {
        assert_eq!(
            self.store.commit(std::slice::from_ref(&advance)).await.unwrap(),
            []
        );
        let lease = self.leases.iter_mut().find(|lease| lease.shard == advance.shard);
        let lease = lease.unwrap();
        (lease.position, lease.count) = (advance.position, advance.count);
    }

    /// All shards move to a position.
    async fn reach(&mut self, position: u64) {
        for lease in self.leases.clone() {
            self.commit(step(&lease, position, &[])).await;
        }
    }

    async fn find(&self, relation: &str, end: End, name: &str) -> Result<(Vec<String>, u64), Refusal> {
        let query = EdgeQuery {
            relation: relation.to_owned(),
            end,
            name: name.to_owned(),
            after: String::new(),
            limit: 100,
        };
        let found = self.relations.find("v", &self.rules, &query, 0, PATIENCE).await?;
        let others = found.edges.iter().map(|edge| edge.other.to_string());
        Ok((others.collect(), found.reach.position))
    }

    async fn tagged(&self, tag: &str) -> (Vec<String>, u64) {
        self.find("tag", End::To, tag).await.unwrap()
    }
}

fn tags() -> Vec<RelationRule> {
    vec![rule("tags", Derives::InverseOf("tag".to_owned()))]
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn rows_that_change_or_go_change_what_is_found() {
    let mut world = World::new(tags(), 100).await;
    assert_eq!(world.tagged("jazz").await, (vec![], 0));
    world
        .put(1, "post-1", json!([edge("tag", "jazz"), edge("tag", "gig")]))
        .await;
    world.put(2, "post-2", json!([edge("tag", "jazz")])).await;
    world.reach(3).await;
    assert_eq!(world.tagged("jazz").await, (named(&["post-1", "post-2"]), 3));
    assert_eq!(
        world.find("tags", End::From, "jazz").await.unwrap(),
        (named(&["post-1", "post-2"]), 3)
    );
    world.put(4, "post-1", json!([edge("tag", "gig")])).await;
    world.put(5, "post-2", json!([])).await;
    world.reach(6).await;
    assert_eq!(world.tagged("jazz").await, (vec![], 6));
    assert_eq!(world.tagged("gig").await, (named(&["post-1"]), 6));
    assert_eq!(world.relations.size("v").await, Some(2));
}

#[tokio::test]
async fn an_answer_is_as_far_as_the_last_shard_and_misses_nothing_of_it_later() {
    let mut world = World::new(tags(), 100).await;
    let late = (0..).map(|number| format!("late-{number}"));
    let mut late = late.filter(|key| ShardId::of("v", key) != ShardId::of("v", "early"));
    let late = late.next().unwrap();
    world.put(9, "early", json!([edge("tag", "jazz")])).await;
    assert_eq!(world.tagged("jazz").await, (named(&["early"]), 0));
    world.put(3, &late, json!([edge("tag", "jazz")])).await;
    world.reach(10).await;
    assert_eq!(world.tagged("jazz").await, (named(&["early", &late]), 10));
}

#[tokio::test]
async fn another_process_derives_the_same() {
    let mut world = World::new(vec![rule("subtypeOf", Derives::Transitive)], 100).await;
    for (position, (child, parent)) in (1..).zip([("a", "b"), ("b", "c"), ("c", "d")]) {
        world
            .put(position, child, json!([edge("subtypeOf", parent)]))
            .await;
        world.tagged("none").await;
    }
    world.reach(4).await;
    let expected = (named(&["b", "c", "d"]), 4);
    assert_eq!(world.find("subtypeOf", End::From, "a").await.unwrap(), expected);
    world.relations = Relations::new(world.store.clone(), 100);
    assert_eq!(world.find("subtypeOf", End::From, "a").await.unwrap(), expected);
}

#[tokio::test]
async fn a_graph_that_grows_too_large_is_refused_and_others_are_not() {
    let mut world = World::new(vec![rule("knows", Derives::Transitive)], 50).await;
    for number in 0..30_u64 {
        let next = json!([edge("knows", &(number + 1).to_string())]);
        world.put(number + 1, &number.to_string(), next).await;
    }
    for _ in 0..2 {
        let refusal = world.find("knows", End::From, "0").await.unwrap_err();
        assert_eq!(refusal.code, Code::RelationsTooLarge);
        assert!(refusal.detail.contains("more than 50 edges"), "{refusal}");
    }
    world.rules = tags();
    let query = EdgeQuery {
        relation: "knows".to_owned(),
        end: End::From,
        name: "0".to_owned(),
        after: String::new(),
        limit: 9,
    };
    world.relations.retain(|_| false);
    let found = world
        .relations
        .find("v", &tags(), &query, 0, PATIENCE)
        .await
        .unwrap();
    assert_eq!(found.edges.len(), 1);
}

#[tokio::test]
async fn a_graph_of_more_rows_than_it_may_have_edges_is_refused() {
    let mut world = World::new(vec![], 3).await;
    for number in 0..5_u64 {
        world
            .put(number + 1, &number.to_string(), json!([edge("knows", "0")]))
            .await;
    }
    let refusal = world.find("knows", End::To, "0").await.unwrap_err();
    assert_eq!(refusal.code, Code::RelationsTooLarge);
}

#[tokio::test]
async fn a_view_that_begins_anew_is_derived_anew() {
    let mut world = World::new(tags(), 100).await;
    world.put(5, "post-1", json!([edge("tag", "jazz")])).await;
    world.reach(6).await;
    assert_eq!(world.tagged("jazz").await, (named(&["post-1"]), 6));
    let mut anew = World::new(tags(), 100).await;
    anew.put(1, "post-2", json!([edge("tag", "jazz")])).await;
    anew.reach(2).await;
    world.relations.store = anew.store.clone();
    assert_eq!(world.tagged("jazz").await, (named(&["post-2"]), 2));
}

#[tokio::test]
async fn pages_go_by_the_other_end() {
    let mut world = World::new(tags(), 1000).await;
    for number in 0..25_u64 {
        let key = format!("post-{number:02}");
        world.put(number + 1, &key, json!([edge("tag", "jazz")])).await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let query = EdgeQuery {
            relation: "tag".to_owned(),
            end: End::To,
            name: "jazz".to_owned(),
            after,
            limit: 10,
        };
        let found = world
            .relations
            .find("v", &world.rules, &query, 0, PATIENCE)
            .await
            .unwrap();
        let Some(last) = found.edges.last() else { break };
        after = last.other.to_string();
        seen.extend(found.edges.iter().map(|edge| edge.other.to_string()));
    }
    let expected: Vec<String> = (0..25).map(|number| format!("post-{number:02}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn who_does_not_wait_long_enough_leaves_the_work_to_who_comes_next() {
    let mut world = World::new(vec![rule("knows", Derives::Transitive)], 50).await;
    for number in 0..30_u64 {
        let next = json!([edge("knows", &(number + 1).to_string())]);
        world.put(number + 1, &number.to_string(), next).await;
    }
    let query = EdgeQuery {
        relation: "knows".to_owned(),
        end: End::From,
        name: "0".to_owned(),
        after: String::new(),
        limit: 9,
    };
    let hurried = world
        .relations
        .find("v", &world.rules, &query, 0, Duration::ZERO)
        .await;
    assert_eq!(hurried.unwrap_err().code, Code::Unavailable);
    let refusal = world.find("knows", End::From, "0").await.unwrap_err();
    assert_eq!(refusal.code, Code::RelationsTooLarge);
}
