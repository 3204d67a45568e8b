//! The edges that follow from edges, kept up as those come and go.
//!
//! By differential-dataflow, which keeps a fixpoint up under insertions and deletions alike, takes the rules as data, and is
//! released every few weeks. The crates that compile Datalog from a macro (ascent, crepe) have their rules fixed at compile
//! time and know no deletion, and ascent derives everything anew where a fact is added; datafrog rests since 2019. It costs
//! 25 crates and half a minute of a build. Of 100,000 edges, from which 255,000 follow in all, an edge that comes or goes
//! takes some tenths of a millisecond, and all of them are loaded in about a second (`benches/relations.rs`); a chain of
//! 1,500 edges of a transitive relation, from which 1.1 million follow, takes 4 seconds, and 5 where it is cut in the middle.

use std::{cell::RefCell, rc::Rc};

use differential_dataflow::{
    VecCollection, consolidation::consolidate, input::InputSession, operators::iterate::Iterate as _,
};
use timely::{
    WorkerConfig,
    communication::allocator::{Allocator, thread::Thread},
    dataflow::ProbeHandle,
    worker::Worker,
};

use super::plan::{Edge, Plan, unless_steps};

type Differences = Rc<RefCell<Vec<(Edge, isize)>>>;

/// It has ended without a result, and is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// There would be more edges than it may have.
    TooMany,
    /// Nobody wants the result any more.
    Unwanted,
}

/// A set of edges and all that follows from it. It stays on the thread that made it.
pub(super) struct Saturation {
    worker: Worker,
    input: InputSession<u64, Edge, isize>,
    reached: ProbeHandle<u64>,
    /// What has changed since the last result; where rounds undo each other's work, that as well.
    differences: Differences,
    plan: Plan,
    limit: usize,
    /// Edges of the last result.
    edges: isize,
}

impl Saturation {
    /// Of no edges yet. It never has more than `limit`, derived ones counted.
    pub(super) fn new(plan: Plan, limit: usize) -> Self {
        let mut worker = Worker::new(
            WorkerConfig::default(),
            Allocator::Thread(Thread::default()),
            None,
        );
        let mut input = InputSession::new();
        let reached = ProbeHandle::new();
        let differences = Differences::default();
        let (rules, seen) = (plan.clone(), differences.clone());
        worker.dataflow(|scope| {
            let all = saturated(input.to_collection(scope), rules);
            all.inspect(move |(edge, _, difference)| seen.borrow_mut().push((*edge, *difference)))
                .probe_with(&reached);
        });
        Self {
            worker,
            input,
            reached,
            differences,
            plan,
            limit,
            edges: 0,
        }
    }

    /// An edge has come, or one that was there has gone.
    pub(super) fn change(&mut self, (relation, from, to): Edge, comes: bool) {
        let edge = (self.plan.given(relation), from, to);
        self.input.update(edge, if comes { 1 } else { -1 });
    }

    /// Edges that are new in the whole, and such as have gone. `wanted` is asked now and then, a second apart at most times.
    ///
    /// # Errors
    /// [`Stopped`]
    pub(super) fn settle(&mut self, wanted: impl Fn() -> bool) -> Result<Vec<(Edge, isize)>, Stopped> {
        self.input.advance_to(self.input.time() + 1);
        self.input.flush();
        let (mut seen, mut edges) = (0, self.edges);
        while self.reached.less_than(self.input.time()) {
            self.worker.step();
            let differences = self.differences.borrow();
            edges += differences
                .iter()
                .skip(seen)
                .map(|(_, difference)| difference)
                .sum::<isize>();
            seen = differences.len();
            if edges > isize::try_from(self.limit).unwrap_or(isize::MAX) {
                return Err(Stopped::TooMany);
            }
            if !wanted() {
                return Err(Stopped::Unwanted);
            }
        }
        self.edges = edges;
        let mut differences = self.differences.take();
        consolidate(&mut differences);
        Ok(differences)
    }
}

impl Drop for Saturation {
    /// A worker runs its dataflows to their end unless they are dropped.
    fn drop(&mut self) {
        for dataflow in self.worker.installed_dataflows() {
            self.worker.drop_dataflow(dataflow);
        }
    }
}

/// The least set that has the given edges and all that follows from it.
fn saturated<'scope>(
    given: VecCollection<'scope, u64, Edge>,
    plan: Plan,
) -> VecCollection<'scope, u64, Edge> {
    let all = given.clone().iterate(|scope, edges| {
        let given = given.enter(scope);
        let rules = plan.clone();
        let from_one = edges.clone().flat_map(move |edge| rules.single(edge));
        let rules = plan.clone();
        let first = edges.clone().flat_map(move |(relation, from, to)| {
            rules.places(relation, false).map(move |pair| ((pair, to), from))
        });
        let rules = plan.clone();
        let second = edges.flat_map(move |(relation, from, to)| {
            rules.places(relation, true).map(move |pair| ((pair, from), to))
        });
        let rules = plan;
        let from_two = first.join_map(second, move |(pair, _), from, to| {
            (rules.follows(*pair), *from, *to)
        });
        given.concat(from_one).concat(from_two).distinct()
    });
    all.flat_map(|(relation, from, to)| unless_steps(relation).map(|relation| (relation, from, to)))
}
