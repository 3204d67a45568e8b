//! Relations: edges between objects, and those that follow from them by a projection's rules.
//!
//! A projection whose record has `rules` keeps lists of edges as its rows ([`edges`]), like any view, in the store. What
//! follows from them is kept nowhere: each process that is asked derives it in memory from the rows ([`graph`], by
//! [`saturation`]), and from then on keeps it up with the rows that have changed. So an answer costs two reads of an index:
//! one of the store (has any row changed?), one of the graph. It comes with a position: every entry up to there has been
//! folded, and what follows has been derived.
//!
//! A graph has at most [`MAX_GRAPH`] edges. Beyond that its relations are refused, and nothing else is: rows are folded on.
//! A new kind of rule is a variant of [`fedsx_kernel::definition::Derives`] and an arm in `plan`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fedsx_kernel::definition::RelationRule;
use fedsx_runtime::code::{Code, Refusal};
use tokio::time::{Instant, timeout_at};

use crate::store::{Changed, Place, Reach, Store};

pub(crate) mod edges;
mod graph;
mod index;
mod names;
mod plan;
#[cfg(test)]
mod reference;
mod saturation;
#[cfg(test)]
mod tests;

use graph::Graph;
use index::Ended;
pub use index::{EdgeQuery, End, Found};

/// Most edges of a graph, derived ones counted.
pub const MAX_GRAPH: usize = 1_000_000;
/// Rows that are read from the store at once.
const ROWS: u32 = 500;
/// How long a graph that has grown too large is not tried again.
const PAUSE: Duration = Duration::from_secs(60);

/// The graphs of the projections of relations, each from the first time on that somebody asks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Relations {
    store: Arc<dyn Store>,
    graphs: Arc<Mutex<HashMap<String, Known>>>,
    /// Most edges of a graph.
    limit: usize,
}

#[derive(Debug, Clone)]
enum Known {
    Kept(Arc<Kept>),
    TooLarge(Instant),
}

#[derive(Debug)]
struct Kept {
    graph: Graph,
    /// Whoever has this reads rows for all.
    refreshing: tokio::sync::Mutex<()>,
}

impl Kept {
    /// The position that the graph was settled for last.
    async fn settled(&self) -> Option<u64> {
        let index = self.graph.index().await;
        index.reach.as_ref().map(|reach| reach.position)
    }
}

/// What a query finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub edges: Vec<Found>,
    /// How far the graph is, and what keeps its view from going on, if anything did when its rows were read last.
    pub reach: Reach,
}

impl Relations {
    pub fn new(store: Arc<dyn Store>, limit: usize) -> Self {
        Self {
            store,
            graphs: Arc::default(),
            limit,
        }
    }

    /// Edges of a view as of `at_least` or later, which the view has reached already. 0: as of now, or as of just before
    /// where others are reading the rows.
    ///
    /// # Errors
    /// [`Code::RelationsTooLarge`]; [`Code::Unavailable`] where deriving takes longer than `patience`, in which case it goes
    /// on for whoever asks next.
    pub async fn find(
        &self,
        view: &str,
        rules: &[RelationRule],
        query: &EdgeQuery,
        at_least: u64,
        patience: Duration,
    ) -> Result<Answer, Refusal> {
        let deadline = Instant::now() + patience;
        let mut again = true;
        let kept = loop {
            let kept = self.kept(view, rules)?;
            match timeout_at(deadline, self.refresh(view, &kept, at_least)).await {
                Ok(Ok(())) => break kept,
                // A view that was begun anew, or a graph that somebody else has just given up.
                Ok(Err(Stale::Ended(Ended::Fault))) if again => self.forget(view, &kept),
                Ok(Err(Stale::Ended(ended))) => return Err(self.end(view, &kept, ended)),
                Ok(Err(Stale::Store(refusal))) => return Err(refusal),
                Err(_) => {
                    let detail = format!("what follows from the rows of {view} is still being derived");
                    return Err(Refusal::new(Code::Unavailable, detail));
                }
            }
            again = false;
        };
        let index = kept.graph.index().await;
        Ok(Answer {
            edges: index.find(query),
            reach: index.reach.clone().unwrap_or_default(),
        })
    }

    /// Forgets the graphs of all views but these.
    pub fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|view, _| is_there(view));
    }

    /// Edges of a view's graph, where it is kept here.
    pub async fn size(&self, view: &str) -> Option<usize> {
        let known = self.lock().get(view).cloned();
        match known? {
            Known::Kept(kept) => Some(kept.graph.index().await.len()),
            Known::TooLarge(_) => None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.graphs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, view: &str, rules: &[RelationRule]) -> Result<Arc<Kept>, Refusal> {
        let mut graphs = self.lock();
        match graphs.get(view) {
            Some(Known::Kept(kept)) => return Ok(kept.clone()),
            Some(Known::TooLarge(since)) if since.elapsed() < PAUSE => return Err(self.too_large(view)),
            _ => {}
        }
        let kept = Arc::new(Kept {
            graph: Graph::start(rules.to_vec(), self.limit),
            refreshing: tokio::sync::Mutex::default(),
        });
        graphs.insert(view.to_owned(), Known::Kept(kept.clone()));
        Ok(kept)
    }

    /// Forgets a graph, unless another has taken its place.
    fn forget(&self, view: &str, ended: &Arc<Kept>) {
        let mut graphs = self.lock();
        if matches!(graphs.get(view), Some(Known::Kept(kept)) if Arc::ptr_eq(kept, ended)) {
            graphs.remove(view);
        }
    }

    fn end(&self, view: &str, kept: &Arc<Kept>, ended: Ended) -> Refusal {
        self.forget(view, kept);
        match ended {
            Ended::TooMany => {
                tracing::warn!(
                    view,
                    limit = self.limit,
                    "a projection's relations have grown too large"
                );
                self.lock()
                    .insert(view.to_owned(), Known::TooLarge(Instant::now()));
                self.too_large(view)
            }
            Ended::Fault => {
                let detail = format!("what follows from the rows of {view} cannot be derived just now");
                Refusal::new(Code::Unavailable, detail)
            }
        }
    }

    fn too_large(&self, view: &str) -> Refusal {
        let detail = format!(
            "more than {} edges follow from the rows of {view} by its rules",
            self.limit
        );
        Refusal::new(Code::RelationsTooLarge, detail)
    }

    /// Gives the graph what has changed since it was settled last.
    async fn refresh(&self, view: &str, kept: &Kept, at_least: u64) -> Result<(), Stale> {
        let _refreshing = match kept.refreshing.try_lock() {
            Ok(refreshing) => refreshing,
            Err(_) if kept.settled().await.is_some_and(|settled| at_least <= settled) => return Ok(()),
            Err(_) => kept.refreshing.lock().await,
        };
        let settled = kept.settled().await;
        if at_least > 0 && settled.is_some_and(|settled| at_least <= settled) {
            return Ok(());
        }
        let from = settled.unwrap_or_default();
        let mut after = Place {
            position: from,
            key: None,
        };
        let mut first = None;
        loop {
            let changed = self.store.changed(view, &after, ROWS).await;
            let Some(Changed { rows, reach }) = changed.map_err(|error| Stale::Store(error.refuse()))? else {
                return self.settled(kept, first.unwrap_or_default()).await;
            };
            // How far the view was at first. While it is read, shards that lag write rows that are passed already.
            let reach = first.get_or_insert(reach);
            if reach.position < from {
                // The view was begun anew.
                return Err(Stale::Ended(Ended::Fault));
            }
            let Some(last) = rows.last() else {
                return self.settled(kept, reach.clone()).await;
            };
            after = Place {
                position: last.position,
                key: Some(last.key.clone()),
            };
            kept.graph.rows(rows).await.map_err(Stale::Ended)?;
        }
    }

    async fn settled(&self, kept: &Kept, reach: Reach) -> Result<(), Stale> {
        kept.graph.settle(reach).await.map_err(Stale::Ended)
    }
}

/// Why a graph is not as far as it has to be.
#[derive(Debug)]
enum Stale {
    Ended(Ended),
    Store(Refusal),
}
