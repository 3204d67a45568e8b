//! Keeps the roster: reads what the log defines, settles it, and runs a worker for each cohort.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use fedsx_kernel::definition::{Kind, ProjectionRecord, native_names};
use fedsx_proto::v1::Definition;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Board, Part, Roster,
    settle::{InEffect, Kept, State},
};
use crate::{
    shard::worker::Worker,
    source::{Source, SourceError},
    store::{Store, StoreError},
    views::Projection,
};

/// How often the definitions are looked at where nobody asks for it.
const TURN: Duration = Duration::from_secs(1);
/// How often at most.
const PACE: Duration = Duration::from_millis(50);
/// Rows of retired views that are deleted in one statement, and statements of one turn.
const SWEPT: u32 = 2000;
const SWEEPS: u32 = 20;

/// Why a turn has failed.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a cohort's worker is made.
struct Workers(Box<dyn Fn(Part) -> Worker + Send + Sync>);

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}

#[derive(Debug)]
pub(crate) struct Keeper {
    store: Arc<dyn Store>,
    source: Source,
    board: Board,
    worker: Workers,
    in_effect: Vec<InEffect>,
    /// The position of the last definition that was read; none: none was.
    read: Option<u64>,
    /// By id.
    projections: HashMap<String, Arc<Projection>>,
    cohorts: BTreeMap<u64, Cohort>,
}

/// The worker of a cohort.
#[derive(Debug)]
struct Cohort {
    stop: CancellationToken,
    work: JoinHandle<()>,
}

impl Keeper {
    /// A keeper that makes its cohorts' workers so.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        source: Source,
        board: Board,
        worker: impl Fn(Part) -> Worker + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            source,
            board,
            worker: Workers(Box::new(worker)),
            in_effect: Vec::new(),
            read: None,
            projections: HashMap::new(),
            cohorts: BTreeMap::new(),
        }
    }

    /// Keeps until it is told to stop, and its workers with it.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut warned = false;
        loop {
            let kept = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                kept = self.turn() => kept,
            };
            match kept {
                Ok(()) => warned = false,
                Err(error) if warned => tracing::debug!(%error, "the views are not looked after"),
                Err(error) => {
                    warned = true;
                    tracing::warn!(%error, "the views are not looked after; trying again");
                }
            }
            let rest = async {
                sleep(PACE).await;
                tokio::select! {
                    () = self.board.poked() => {}
                    () = sleep(TURN) => {}
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = rest => {}
            }
        }
        for (_, cohort) in std::mem::take(&mut self.cohorts) {
            cohort.end().await;
        }
    }

    async fn turn(&mut self) -> Result<(), KeepError> {
        if self.board.now().seen.is_none() {
            // What is kept can be read, whether or not the log can.
            let kept = self.store.settle(&self.in_effect).await?;
            self.tell(None, kept);
        }
        let head = self.source.head(0).await?;
        self.read_definitions().await?;
        let kept = self.store.settle(&self.in_effect).await?;
        let retired = kept
            .iter()
            .any(|kept| kept.state == State::Retired && !kept.record.is_empty());
        self.build(&kept).await;
        self.tell(Some(head), kept);
        if retired {
            self.sweep().await?;
        }
        Ok(())
    }

    /// The projections that the log has in effect, where that has changed.
    async fn read_definitions(&mut self) -> Result<(), SourceError> {
        let defined = self.source.definitions(self.read).await?;
        if self.read == Some(defined.position) {
            return Ok(());
        }
        let projections = defined
            .definitions
            .into_iter()
            .filter(|definition| definition.kind == Kind::Projection.as_str());
        let in_effect: Vec<InEffect> = projections.map(in_effect).collect();
        // While a new domain is being seeded, nothing is taken by halves.
        let whole = native_names().all(|name| in_effect.iter().any(|defined| defined.name == name));
        self.in_effect = if whole { in_effect } else { Vec::new() };
        self.read = Some(defined.position);
        Ok(())
    }

    fn tell(&mut self, seen: Option<u64>, kept: Vec<Kept>) {
        self.projections
            .retain(|id, _| kept.iter().any(|kept| kept.id == *id));
        let projections = kept.iter().filter_map(|kept| self.projection(kept)).collect();
        let roster = Roster {
            seen,
            kept,
            projections,
        };
        self.board.tell(roster);
    }

    /// The view of a record; none where this version cannot fold it: a later one does.
    fn projection(&mut self, kept: &Kept) -> Option<Arc<Projection>> {
        if kept.record.is_empty() || kept.state == State::Retired {
            return None;
        }
        if let Some(known) = self.projections.get(&kept.id) {
            return Some(known.clone());
        }
        let record = ProjectionRecord::parse(&kept.record);
        let origin = &self.source.origin;
        let Some(projection) = record.ok().and_then(|record| Projection::of(&record, origin)) else {
            tracing::debug!(name = kept.name, id = kept.id, "a view is left to later versions");
            return None;
        };
        let projection = Arc::new(projection);
        self.projections.insert(kept.id.clone(), projection.clone());
        Some(projection)
    }

    /// A worker for each cohort that is there, and none for another.
    async fn build(&mut self, kept: &[Kept]) {
        let building = kept.iter().filter(|kept| kept.state == State::Building);
        let cohorts: BTreeSet<u64> = building.map(|kept| kept.cohort).collect();
        let done: Vec<u64> = self
            .cohorts
            .keys()
            .filter(|cohort| !cohorts.contains(cohort))
            .copied()
            .collect();
        for cohort in done {
            if let Some(cohort) = self.cohorts.remove(&cohort) {
                cohort.end().await;
            }
        }
        for cohort in cohorts {
            self.cohorts.entry(cohort).or_insert_with(|| {
                let stop = CancellationToken::new();
                let worker = self.worker.0(Part::Cohort(cohort));
                let work = tokio::spawn(worker.run(stop.clone()));
                Cohort { stop, work }
            });
        }
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        for _ in 0..SWEEPS {
            if !self.store.sweep(SWEPT).await? {
                break;
            }
        }
        Ok(())
    }
}

impl Cohort {
    async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.work.await {
            tracing::error!(%error, "the worker of a cohort ended by itself");
        }
    }
}

fn in_effect(definition: Definition) -> InEffect {
    InEffect {
        id: definition.cid,
        name: definition.name,
        record: definition.body.to_vec(),
        since: definition.position,
    }
}
