//! Rules, as the dataflow goes by them.

use std::collections::{HashMap, HashSet};

use fedsx_kernel::definition::{Derives, RelationRule};

use super::names::Names;

/// Relation, from, to.
pub(super) type Edge = (u32, u32, u32);

/// What is derived from one edge, and from two that meet.
///
/// A transitive relation is taken apart: its *steps* are the edges that anything but transitivity gives it, and it is
/// closed by putting one step after another. So a chain of n edges costs n² derivations; putting any two edges together
/// would cost n³. A relation's number is doubled, and odd for its steps.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// By the relation of one edge: the relation that follows, and whether it leads the other way.
    single: HashMap<u32, Vec<(u32, bool)>>,
    /// The relations of two edges where the second begins at the end of the first, and the relation that follows.
    pairs: Vec<[u32; 3]>,
    transitive: HashSet<u32>,
}

impl Plan {
    /// The rules' relations are held in `names` for good.
    pub(super) fn new(rules: &[RelationRule], names: &mut Names) -> Self {
        let mut plan = Self::default();
        for rule in rules {
            if rule.derives == Derives::Transitive {
                plan.transitive.insert(names.hold(&rule.relation));
            }
        }
        for rule in rules {
            plan.add(rule, names);
        }
        plan
    }

    fn add(&mut self, rule: &RelationRule, names: &mut Names) {
        let relation = names.hold(&rule.relation);
        let (whole, given) = (whole(relation), self.given(relation));
        match &rule.derives {
            Derives::Transitive => {
                self.follow(given, whole, false);
                self.pairs.push([whole, given, whole]);
            }
            // What is closed over symmetric steps is symmetric.
            Derives::Symmetric => self.follow(given, given, true),
            Derives::InverseOf(other) => self.follow(self::whole(names.hold(other)), given, true),
            Derives::Includes(other) => self.follow(self::whole(names.hold(other)), given, false),
            Derives::ComposedOf(first, second) => {
                let [first, second] = [first, second].map(|name| self::whole(names.hold(name)));
                self.pairs.push([first, second, given]);
            }
        }
    }

    fn follow(&mut self, from: u32, follows: u32, turned: bool) {
        self.single.entry(from).or_default().push((follows, turned));
    }

    /// The relation that what is given of this one, by a row or by another rule, goes to.
    pub(super) fn given(&self, relation: u32) -> u32 {
        whole(relation) + u32::from(self.transitive.contains(&relation))
    }

    /// What follows from one edge alone.
    pub(super) fn single(&self, (relation, from, to): Edge) -> impl Iterator<Item = Edge> + use<> {
        let follows = self.single.get(&relation).cloned().unwrap_or_default();
        follows.into_iter().map(move |(relation, turned)| match turned {
            true => (relation, to, from),
            false => (relation, from, to),
        })
    }

    /// The pairs that edges of this relation are the first of (or the second), by their place.
    pub(super) fn places(&self, relation: u32, second: bool) -> impl Iterator<Item = u32> + use<> {
        let is = |pair: &&[u32; 3]| pair.get(usize::from(second)) == Some(&relation);
        let places = (0_u32..).zip(&self.pairs).filter(|(_, pair)| is(pair));
        let places: Vec<u32> = places.map(|(place, _)| place).collect();
        places.into_iter()
    }

    /// The relation that follows from a pair.
    pub(super) fn follows(&self, place: u32) -> u32 {
        let pair = usize::try_from(place)
            .ok()
            .and_then(|place| self.pairs.get(place));
        pair.map_or(0, |[.., follows]| *follows)
    }
}

fn whole(relation: u32) -> u32 {
    relation * 2
}

/// The relation's own number; none: it is its steps'.
pub(super) fn unless_steps(relation: u32) -> Option<u32> {
    relation.is_multiple_of(2).then_some(relation / 2)
}
