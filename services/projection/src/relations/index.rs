//! The edges of a graph, as queries find them.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use fedsx_proto::v1;

use super::{names::Names, plan::Edge};
use crate::store::Reach;

/// Which end of an edge is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    From,
    To,
}

/// Edges at one of their ends.
#[derive(Debug, Clone)]
pub struct EdgeQuery {
    pub relation: String,
    pub end: End,
    /// The name of that end.
    pub name: String,
    /// Other ends greater than this, by their bytes.
    pub after: String,
    pub limit: usize,
}

impl EdgeQuery {
    /// What was found, with both its ends.
    pub(crate) fn edge(&self, found: Found) -> v1::Edge {
        let (asked, other) = (self.name.clone(), found.other.to_string());
        let (from, to) = match self.end {
            End::From => (asked, other),
            End::To => (other, asked),
        };
        v1::Edge {
            relation: self.relation.clone(),
            from,
            to,
            derived: found.derived,
        }
    }
}

/// An edge that was found by one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name of the other end.
    pub other: Arc<str>,
    /// No row says it: rules alone do.
    pub derived: bool,
}

/// Relation, the end that is asked about, the other end by name. The value: whether it is derived.
type Side = BTreeMap<(u32, u32, Arc<str>), bool>;

/// The graph is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It would have more edges than it may.
    TooMany,
    /// Its thread has ended, by a fault.
    Fault,
}

/// Edges as of a position.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) names: Names,
    forward: Side,
    backward: Side,
    /// What every entry up to here has made of the graph is here; none: nothing has been read yet.
    pub(super) reach: Option<Reach>,
    /// Why it does not get any further; none: it does.
    pub(super) ended: Option<Ended>,
}

impl Index {
    /// Edges by the names of their other ends.
    pub(super) fn find(&self, query: &EdgeQuery) -> Vec<Found> {
        let numbers = self
            .names
            .number(&query.relation)
            .zip(self.names.number(&query.name));
        let Some((relation, name)) = numbers else {
            return Vec::new();
        };
        let side = match query.end {
            End::From => &self.forward,
            End::To => &self.backward,
        };
        let after = Bound::Excluded((relation, name, Arc::from(query.after.as_str())));
        let edges = side.range((after, Bound::Unbounded));
        let edges = edges.take_while(|((of, at, _), _)| (*of, *at) == (relation, name));
        let found = edges.map(|((.., other), derived)| Found {
            other: other.clone(),
            derived: *derived,
        });
        found.take(query.limit).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.forward.len()
    }

    pub(super) fn insert(&mut self, edge: Edge, derived: bool) {
        if let Some((forward, backward)) = self.places(edge) {
            self.forward.insert(forward, derived);
            self.backward.insert(backward, derived);
        }
    }

    pub(super) fn remove(&mut self, edge: Edge) {
        if let Some((forward, backward)) = self.places(edge) {
            self.forward.remove(&forward);
            self.backward.remove(&backward);
        }
    }

    /// Says anew whether an edge is derived, where it is there.
    pub(super) fn mark(&mut self, edge: Edge, derived: bool) {
        if self
            .places(edge)
            .is_some_and(|(forward, _)| self.forward.contains_key(&forward))
        {
            self.insert(edge, derived);
        }
    }

    #[expect(clippy::type_complexity, reason = "the keys of both sides")]
    fn places(&self, (relation, from, to): Edge) -> Option<((u32, u32, Arc<str>), (u32, u32, Arc<str>))> {
        let (from_name, to_name) = (self.names.text(from)?, self.names.text(to)?);
        Some((
            (relation, from, to_name.clone()),
            (relation, to, from_name.clone()),
        ))
    }
}
