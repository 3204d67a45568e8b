//! Reading the view that serves a name, while one takes over from another.

use std::{sync::Arc, time::Duration};

use fedsx_runtime::code::{Code, Refusal};
use tokio::time::{Instant, timeout_at};

use crate::{
    progress::{Progress, Scope},
    relations::{Answer, EdgeQuery, Relations},
    roster::Board,
    shard::ShardId,
    store::{Page, PageQuery, Reach, Result, Row, Store},
};

/// Reads of views by their names. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) board: Board,
    pub(crate) progress: Progress,
    pub(crate) relations: Relations,
}

impl Serving {
    /// A row, and the position for which it is true, at least the one asked for.
    ///
    /// # Errors
    /// Those of [`Board::serving`]; [`Code::Unavailable`] also where the view has not got so far in time.
    pub(crate) async fn row(
        &self,
        view: &str,
        key: &str,
        at_least: u64,
        patience: Duration,
    ) -> std::result::Result<(Option<Row>, u64), Refusal> {
        self.read(view, at_least, patience, &OneRow(key)).await
    }

    /// A page of the view that `query` names, for a position that is at least the one asked for.
    ///
    /// # Errors
    /// Those of [`Serving::row`].
    pub(crate) async fn page(
        &self,
        query: &PageQuery,
        at_least: u64,
        patience: Duration,
    ) -> std::result::Result<Page, Refusal> {
        self.read(&query.view, at_least, patience, query).await
    }

    /// Edges of the projection of relations of this name, for a position that is at least the one asked for.
    ///
    /// # Errors
    /// Those of [`Serving::row`] and of [`Relations::find`]; [`Code::Malformed`] where its rows are no edges.
    pub(crate) async fn edges(
        &self,
        view: &str,
        query: &EdgeQuery,
        at_least: u64,
        patience: Duration,
    ) -> std::result::Result<Answer, Refusal> {
        let edges = Edges {
            serving: self,
            query,
            at_least,
            patience,
        };
        self.read(view, at_least, patience, &edges).await?
    }

    async fn read<W: Wanted>(
        &self,
        view: &str,
        at_least: u64,
        patience: Duration,
        wanted: &W,
    ) -> std::result::Result<W::Found, Refusal> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let id = self.board.serving(view, at_least, left).await?;
            let shard = wanted.shard(&id);
            let scope = shard.as_ref().map_or(Scope::View(&id), Scope::Shard);
            let reading = self.progress.reach(scope, at_least, left, || async {
                // What is no longer kept need not be waited for.
                let gone = || {
                    (
                        None,
                        Reach {
                            position: u64::MAX,
                            halted: None,
                        },
                    )
                };
                let found = wanted.read(&*self.store, &id).await?;
                Ok(found.map_or_else(gone, |(value, reach)| (Some(value), reach)))
            });
            tokio::select! {
                biased;
                found = reading => if let Some(value) = found? {
                    return Ok(value);
                },
                () = self.replaced(view, &id) => continue,
            }
            self.board.poke();
            if timeout_at(deadline, self.replaced(view, &id)).await.is_err() {
                let detail = format!("the view {view:?} is being replaced");
                return Err(Refusal::new(Code::Unavailable, detail));
            }
        }
    }

    /// Waits until something else serves a name.
    async fn replaced(&self, view: &str, id: &str) {
        let mut roster = self.board.subscribe();
        let waited = roster.wait_for(|roster| roster.serving(view).is_none_or(|kept| kept.id != id));
        if waited.await.is_err() {
            std::future::pending().await
        }
    }
}

/// What is read of whichever view serves.
trait Wanted: Sync {
    type Found: Send;

    /// The one shard that has it; none: they all do.
    fn shard(&self, id: &str) -> Option<ShardId>;

    /// None where the view is not kept any more.
    fn read(
        &self,
        store: &dyn Store,
        id: &str,
    ) -> impl Future<Output = Result<Option<(Self::Found, Reach)>>> + Send;
}

/// By its key.
struct OneRow<'k>(&'k str);

impl Wanted for OneRow<'_> {
    type Found = (Option<Row>, u64);

    fn shard(&self, id: &str) -> Option<ShardId> {
        Some(ShardId::of(id, self.0))
    }

    async fn read(&self, store: &dyn Store, id: &str) -> Result<Option<(Self::Found, Reach)>> {
        let found = store.row(&ShardId::of(id, self.0), self.0).await?;
        Ok(found.map(|(row, reach)| ((row, reach.position), reach)))
    }
}

/// By relation and end.
struct Edges<'q> {
    serving: &'q Serving,
    query: &'q EdgeQuery,
    at_least: u64,
    patience: Duration,
}

impl Wanted for Edges<'_> {
    type Found = std::result::Result<Answer, Refusal>;

    fn shard(&self, _: &str) -> Option<ShardId> {
        None
    }

    async fn read(&self, _: &dyn Store, id: &str) -> Result<Option<(Self::Found, Reach)>> {
        // A refusal is an answer, however far the view is.
        let refused = |refusal| {
            let reach = Reach {
                position: u64::MAX,
                halted: None,
            };
            Ok(Some((Err(refusal), reach)))
        };
        let roster = self.serving.board.now();
        let relations = &self.serving.relations;
        relations.retain(|view| roster.kept().iter().any(|kept| kept.id == view));
        let Some(projection) = roster.projection(id) else {
            return Ok(None);
        };
        let Some(rules) = &projection.rules else {
            let detail = format!(
                "the rows of {:?} are no edges: its record has no rules",
                projection.name
            );
            return refused(Refusal::new(Code::Malformed, detail));
        };
        match relations
            .find(id, rules, self.query, self.at_least, self.patience)
            .await
        {
            Ok(answer) => {
                let reach = answer.reach.clone();
                Ok(Some((Ok(answer), reach)))
            }
            Err(refusal) => refused(refusal),
        }
    }
}

impl Wanted for PageQuery {
    type Found = Page;

    fn shard(&self, _: &str) -> Option<ShardId> {
        None
    }

    async fn read(&self, store: &dyn Store, id: &str) -> Result<Option<(Page, Reach)>> {
        let view = id.to_owned();
        let found = store.page(&Self { view, ..self.clone() }).await?;
        Ok(found.map(|page| {
            let reach = page.reach.clone();
            (page, reach)
        }))
    }
}
