//! What a type's refinement costs. `cargo bench -p fedsx-kernel --bench predicate`.
#![allow(clippy::unwrap_used, reason = "a benchmark of failures is none")]

use divan::{Bencher, black_box};
use fedsx_kernel::predicate::{Field, MAX_BOUND, Program, Scope, Verdict};
use serde_json::{Value, json};

const SOURCES: [(&str, &str); 5] = [
    (
        "five comparisons",
        "object.type == 'Event' && size(object.name) > 0 && object.capacity >= 1 \
            && object.capacity <= 5000 && object.visibility in ['public', 'followers']",
    ),
    ("times", "timestamp(object.startTime) < timestamp(object.endTime)"),
    (
        "eight tags",
        "object.tags.all(t, size(t) <= 20 && !t.startsWith('#'))",
    ),
    ("search", "object.content.contains('encore, encore')"),
    (
        "steps",
        "object.tags.map(t, [1, 2, 3, 4, 5, 6, 7, 8].filter(n, n % 2 == 0)).all(l, l != [])",
    ),
];

fn main() {
    divan::main();
}

fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.into_iter().map(|(name, _)| name)
}

fn program(name: &str) -> Program {
    let (_, source) = SOURCES.into_iter().find(|(known, _)| *known == name).unwrap();
    let tags = Field {
        max_items: Some(20),
        max_length: None,
    };
    Program::compile(source, &Scope::strict([("tags", tags)])).unwrap()
}

/// About a kibibyte.
fn object() -> Value {
    json!({
        "id": "https://blog.example/objects/gig-night",
        "type": "Event",
        "attributedTo": "https://blog.example/actors/alice",
        "name": "Gig Night",
        "capacity": 120,
        "visibility": "public",
        "startTime": "2026-12-01T20:00:00Z",
        "endTime": "2026-12-01T23:30:00+01:00",
        "location": {"type": "Place", "name": "The Cellar"},
        "tags": ["music", "live", "jazz", "cellar", "december", "evening", "bands", "free"],
        "content": "Three bands, one evening. ".repeat(22),
    })
}

#[divan::bench(args = names())]
fn decide(bencher: Bencher<'_, '_>, name: &str) {
    let program = program(name);
    let object = object();
    assert!(!matches!(
        program.decide(&[&object], MAX_BOUND).verdict,
        Verdict::Failed(_)
    ));
    bencher.bench(|| black_box(&program).decide(&[black_box(&object)], MAX_BOUND));
}

#[divan::bench(args = names())]
fn compile(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench(|| program(black_box(name)));
}
