//! Catch-up: writes what a peer missed while it was parked, from the log, page by page. Webhooks it did not miss: their rows
//! [are there](crate::webhook).

use std::{sync::Arc, time::Duration};

use fedsx_kernel::{
    delivery::{
        catch_up::{PAGE, Page, advanced, commits, page},
        peer::{Peer, Standing},
    },
    origin::Origin,
};
use fedsx_runtime::code::Refusal;
use tokio_util::sync::CancellationToken;

use crate::{
    audience,
    broker::Broker,
    fan_out::entry::{NoteError, note},
    ledger::{Ledger, StoreError},
    log::Log,
    wake::Wake,
};

/// A peer that has so many deliveries before it gets no further page yet, so that the ledger does not take the log's place.
/// What a lane holds back until its next attempt is not counted, or one addressee that always fails would starve the others.
const BACKLOG: u32 = 1_000;

/// Catches peers up.
#[derive(Debug)]
pub(crate) struct CatchUp {
    pub(crate) origin: Origin,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) log: Log,
    pub(crate) wake: Arc<Wake>,
    pub(crate) tick: Duration,
    pub(crate) stop: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
enum CatchUpError {
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error("the log: {0}")]
    Log(#[from] Refusal),
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// What became of a page.
#[derive(Debug, PartialEq, Eq)]
enum Turned {
    /// The peer has more before it.
    More,
    /// It is live, or somebody else changed its standing, or it has enough to do.
    Enough,
}

impl CatchUp {
    /// Catches up whoever is behind, until shutdown.
    pub(crate) async fn run(self) {
        while !self.stop.is_cancelled() {
            if self.wake.leads()
                && let Err(error) = self.all().await
            {
                tracing::warn!(%error, "catch-up waits");
            }
            tokio::select! {
                () = tokio::time::sleep(self.tick) => {}
                () = self.wake.catch_up.notified() => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// A page for each in turn, until all are live or have enough to do.
    async fn all(&self) -> Result<(), CatchUpError> {
        let unwell = self.ledger.unwell().await?.into_iter();
        let behind = unwell.filter(|(_, peer)| matches!(peer.standing, Standing::CatchingUp { .. }));
        let mut behind: Vec<_> = behind.map(|(origin, _)| origin).collect();
        while !behind.is_empty() && !self.stop.is_cancelled() {
            let mut still = Vec::new();
            for origin in behind {
                if self.page(&origin).await? == Turned::More {
                    still.push(origin);
                }
            }
            behind = still;
        }
        Ok(())
    }

    /// One page.
    async fn page(&self, origin: &Origin) -> Result<Turned, CatchUpError> {
        let Some((read, mut page)) = self.next(origin).await? else {
            return Ok(Turned::Enough);
        };
        let mut entries = Vec::new();
        if page.from <= page.to {
            let limit = u32::try_from(page.to - page.from + 1).unwrap_or(u32::MAX);
            entries = self.log.after(page.from - 1, limit).await?;
            entries.retain(|entry| entry.position <= page.to);
            // The log's page may be shorter than ours.
            let Some(last) = entries.last() else {
                return Ok(Turned::Enough);
            };
            page.to = last.position;
        }
        let noted = note(&self.log, &self.origin, &entries).await?;
        let mut turn = self.ledger.turn().await?;
        let mut peers = turn.peers(std::slice::from_ref(origin)).await?;
        let cursor = turn.cursor().position;
        let silent_until = turn.cursor().silent_until.unwrap_or(0);
        let Some(peer) = peers.get_mut(origin).filter(|locked| commits(&read, locked)) else {
            return Ok(Turned::Enough);
        };
        *peer = advanced(*peer, page, cursor);
        let is_live = peer.standing == Standing::Live;
        let mut rows = Vec::new();
        for entry in noted.iter().filter(|entry| entry.position > silent_until) {
            rows.extend(audience::rows(&mut *turn, &self.origin, entry, Some(origin)).await?);
        }
        let due = turn.insert(&rows).await?;
        turn.put_peers(&peers).await?;
        turn.commit().await?;
        if let Err(error) = self.broker.publish(&due).await {
            tracing::debug!(%error, lanes = due.len(), "due lanes are left to the sweeper");
        }
        if is_live {
            tracing::info!(%origin, "the peer has caught up");
            return Ok(Turned::Enough);
        }
        Ok(Turned::More)
    }

    /// The page that an origin needs next; none where it needs none now.
    async fn next(&self, origin: &Origin) -> Result<Option<(Peer, Page)>, StoreError> {
        let mut turn = self.ledger.turn().await?;
        let peers = turn.peers(std::slice::from_ref(origin)).await?;
        if turn.backlog(origin, BACKLOG).await? >= BACKLOG {
            return Ok(None);
        }
        let cursor = turn.cursor().position;
        Ok(peers
            .get(origin)
            .and_then(|peer| Some((*peer, page(peer, cursor, PAGE)?))))
    }
}
