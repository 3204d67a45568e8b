//! Which views there are: what the domain defines, and what becomes of it here.
//!
//! The [`keeper`] follows the log's definitions, [`settle`]s them in the store, and runs a worker for each cohort that is being
//! built; everybody else goes by the [`Roster`] that it tells.

use std::{collections::BTreeSet, sync::Arc};

use fedsx_kernel::definition::is_native;
use fedsx_runtime::code::{Code, Refusal};
use tokio::{
    sync::{Notify, watch},
    time::{Duration, timeout},
};

use crate::{shard::ShardId, store::Group, views::Projection};

pub(crate) mod keeper;
pub mod settle;
#[cfg(test)]
mod tests;

use settle::{Kept, State};

/// The name of the group whose workers share the shards of the views that serve.
const VIEWS: &str = "views";

/// The views as they were settled last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roster {
    /// The log's head when its definitions were read; none: they have not been yet.
    seen: Option<u64>,
    /// By id.
    kept: Vec<Kept>,
    /// Those of them that are folded here.
    projections: Vec<Arc<Projection>>,
}

/// The views that one worker folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Those that serve their names.
    Live,
    /// Those that are built together.
    Cohort(u64),
}

impl Part {
    fn has(self, kept: &Kept) -> bool {
        match self {
            Self::Live => kept.state == State::Live,
            Self::Cohort(cohort) => kept.state == State::Building && kept.cohort == cohort,
        }
    }

    /// The name of the group of its workers.
    pub(crate) fn group(self) -> String {
        match self {
            Self::Live => VIEWS.to_owned(),
            Self::Cohort(cohort) => format!("{VIEWS}/{cohort}"),
        }
    }

    /// What a view of this part is called in metrics.
    pub(crate) fn label(self, name: &str) -> String {
        match self {
            Self::Live => name.to_owned(),
            Self::Cohort(_) => format!("{name} (building)"),
        }
    }
}

impl Roster {
    #[cfg(test)]
    pub(crate) fn of(kept: Vec<Kept>, projections: &[Arc<Projection>]) -> Self {
        Self {
            seen: Some(0),
            kept,
            projections: projections.to_vec(),
        }
    }

    /// Everything that is kept.
    pub(crate) fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// The id that serves a name: of the view that is live or, until one is, of the one that is being built.
    pub(crate) fn serving(&self, name: &str) -> Option<&Kept> {
        let of_name = self.kept.iter().filter(|kept| kept.name == name);
        let serves = of_name.filter(|kept| kept.state != State::Retired);
        serves.max_by_key(|kept| (kept.state == State::Live, kept.since))
    }

    pub(crate) fn part(&self, part: Part) -> Arc<[Arc<Projection>]> {
        let ids = self.kept.iter().filter(|kept| part.has(kept));
        ids.filter_map(|kept| self.projection(&kept.id).cloned())
            .collect()
    }

    pub(crate) fn group(&self, part: Part) -> Group {
        let projections = self.part(part);
        Group {
            name: part.group(),
            shards: projections
                .iter()
                .flat_map(|projection| ShardId::all(&projection.id))
                .collect(),
        }
    }

    pub(crate) fn projection(&self, id: &str) -> Option<&Arc<Projection>> {
        self.projections.iter().find(|projection| projection.id == id)
    }

    /// What is told to who asks for a view that there is not.
    fn unknown(&self, view: &str) -> String {
        let known: BTreeSet<&str> = self.kept.iter().map(|kept| kept.name.as_str()).collect();
        let known: Vec<&str> = known.into_iter().collect();
        format!("there is no view {view:?}; there are {}", known.join(", "))
    }

    /// What people call a shard.
    pub(crate) fn title(&self, shard: &ShardId) -> String {
        format!(
            "{}/{}",
            self.name(&shard.view).unwrap_or(&shard.view),
            shard.shard
        )
    }

    fn name(&self, id: &str) -> Option<&str> {
        let kept = self.kept.iter().find(|kept| kept.id == id)?;
        Some(&kept.name)
    }

    /// Whether federation itself goes by the view of this id.
    pub(crate) fn is_native(&self, id: &str) -> bool {
        self.name(id).is_some_and(is_native)
    }
}

/// Where the roster is told. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    roster: watch::Sender<Arc<Roster>>,
    /// Wakes the keeper.
    poke: Arc<Notify>,
}

impl Board {
    pub(crate) fn now(&self) -> Arc<Roster> {
        self.roster.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.subscribe()
    }

    pub(crate) fn tell(&self, roster: Roster) {
        self.roster.send_replace(Arc::new(roster));
    }

    /// Something may have been defined, or caught up.
    pub(crate) fn poke(&self) {
        self.poke.notify_one();
    }

    pub(crate) async fn poked(&self) {
        self.poke.notified().await;
    }

    /// The view with this id, or that serves this name, where this version folds it.
    ///
    /// # Errors
    /// [`Code::Malformed`]: there is no such view, or nobody folds it.
    pub(crate) fn find(&self, view: &str) -> Result<Arc<Projection>, Refusal> {
        let roster = self.now();
        let id = roster.serving(view).map_or(view, |kept| kept.id.as_str());
        let found = roster.projection(id).cloned();
        found.ok_or_else(|| Refusal::new(Code::Malformed, roster.unknown(view)))
    }

    /// The id that serves a name, as it is defined at a position at least.
    ///
    /// # Errors
    /// [`Code::Unavailable`]: the definitions have not been read so far in time, or federation's own are not there yet.
    /// [`Code::Malformed`]: there is no such view; a misspelt one must not pass for one without rows.
    pub(crate) async fn serving(
        &self,
        name: &str,
        at_least: u64,
        patience: Duration,
    ) -> Result<String, Refusal> {
        let mut roster = self.subscribe();
        let knows = |roster: &Arc<Roster>| {
            // Federation's own are sure to come.
            let seen = !is_native(name) && roster.seen.is_some_and(|seen| seen >= at_least);
            seen || roster.serving(name).is_some()
        };
        if !knows(&roster.borrow()) {
            self.poke();
        }
        // What it answers keeps the roster locked: let go of before anything else is asked of the roster, since whoever tells
        // a new one in between waits for this and keeps everybody else waiting.
        let known = timeout(patience, roster.wait_for(knows))
            .await
            .is_ok_and(|seen| seen.is_ok());
        let roster = self.now();
        if let Some(kept) = roster.serving(name) {
            return Ok(kept.id.clone());
        }
        if !known {
            return Err(Refusal::new(
                Code::Unavailable,
                format!("there is no view {name:?} yet, in what has been read of the domain's definitions"),
            ));
        }
        Err(Refusal::new(Code::Malformed, roster.unknown(name)))
    }
}
