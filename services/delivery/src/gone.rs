//! The end of a peer's follows: decided here, written in the log, taken up by fan-out like anything else.

use std::sync::Arc;

use fedsx_kernel::{cid::Cid, follow, origin::Origin};
use fedsx_runtime::code::Refusal;

use crate::{
    lane::Lane,
    ledger::{Ledger, StoreError},
    log::Log,
};

/// Follows that one entry names: some 65 bytes each, and an entry has at most 1 MiB.
const NAMED: usize = 10_000;

/// Decides the end of follows. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Gone {
    pub(crate) origin: Origin,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) log: Log,
}

#[derive(Debug, thiserror::Error)]
enum GoneError {
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] Refusal),
    #[error(transparent)]
    Activity(#[from] fedsx_kernel::activity::ActivityError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Gone {
    /// An inbox answered 410: the follows that it served end. Not done now, the next 410 brings us here again.
    pub(crate) async fn inbox(&self, lane: &Lane) {
        let ended = async {
            let follows = self.ledger.follows_of(lane).await?;
            if !follows.is_empty() {
                self.decide(&lane.origin, &follows, 0).await?;
            }
            Ok::<_, GoneError>(follows.len())
        };
        match ended.await {
            Ok(0) => {}
            Ok(follows) => tracing::info!(
                inbox = lane.address,
                follows,
                "the inbox is gone, its follows end"
            ),
            Err(error) => {
                tracing::warn!(inbox = lane.address, %error, "follows of an inbox that is gone stay for now")
            }
        }
    }

    /// An origin was parked for 30 days: its follows end, and what is owed to it up to fan-out's cursor.
    pub(crate) async fn origin(&self, origin: &Origin) {
        let ended = async {
            let mut turn = self.ledger.turn().await?;
            let (cursor, now) = (turn.cursor().position, turn.now());
            let peers = turn.peers(std::slice::from_ref(origin)).await?;
            if !peers.get(origin).is_some_and(|peer| peer.is_gone(now)) {
                return Ok(false);
            }
            let follows = turn.open_follows(origin).await?;
            drop(turn);
            self.decide(origin, &follows, cursor).await?;
            Ok::<_, GoneError>(true)
        };
        match ended.await {
            Ok(false) => {}
            Ok(true) => tracing::info!(%origin, "the peer was away for 30 days, its follows end"),
            Err(error) => tracing::warn!(%origin, %error, "a peer that was away for 30 days is kept for now"),
        }
    }

    async fn decide(&self, peer: &Origin, follows: &[Cid], through: u64) -> Result<(), GoneError> {
        let mut pages: Vec<_> = follows.chunks(NAMED).collect();
        if pages.is_empty() {
            pages.push(&[]);
        }
        let mut bodies = Vec::new();
        for page in pages {
            let activity = follow::gone(&self.origin, peer, page, through)?;
            bodies.push(serde_json::to_vec(activity.document())?);
        }
        Ok(self.log.decide(bodies).await?)
    }
}
