//! What follows from edges by rules, found by trying everything until nothing is new. What the saturation is held against.

use std::collections::BTreeSet;

use fedsx_kernel::definition::{Derives, RelationRule};

/// Relation, from, to.
pub(super) type Edge = (String, String, String);

pub(super) fn saturated(given: &BTreeSet<Edge>, rules: &[RelationRule]) -> BTreeSet<Edge> {
    let mut all = given.clone();
    loop {
        let new: Vec<Edge> = rules.iter().flat_map(|rule| follows(&all, rule)).collect();
        let before = all.len();
        all.extend(new);
        if all.len() == before {
            return all;
        }
    }
}

fn follows(all: &BTreeSet<Edge>, rule: &RelationRule) -> Vec<Edge> {
    let of = |relation: &str| -> Vec<(String, String)> {
        let own = all.iter().filter(|(known, ..)| known == relation);
        own.map(|(_, from, to)| (from.clone(), to.clone())).collect()
    };
    let turned = |relation: &str| of(relation).into_iter().map(|(from, to)| (to, from)).collect();
    let composed = |first: &str, second: &str| {
        let (first, second) = (of(first), of(second));
        let pairs = first
            .iter()
            .flat_map(|one| second.iter().map(move |other| (one, other)));
        let meeting = pairs.filter(|(one, other)| one.1 == other.0);
        meeting
            .map(|(one, other)| (one.0.clone(), other.1.clone()))
            .collect()
    };
    let ends: Vec<(String, String)> = match &rule.derives {
        Derives::Transitive => composed(&rule.relation, &rule.relation),
        Derives::Symmetric => turned(&rule.relation),
        Derives::InverseOf(other) => turned(other),
        Derives::Includes(other) => of(other),
        Derives::ComposedOf(first, second) => composed(first, second),
    };
    ends.into_iter()
        .map(|(from, to)| (rule.relation.clone(), from, to))
        .collect()
}
