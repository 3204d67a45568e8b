//! Parking peers that have been away for too long.

use std::{collections::BTreeMap, sync::Arc};

use fedsx_kernel::origin::Origin;

use crate::ledger::{Ledger, Result};

/// Parks. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Parking {
    pub(crate) ledger: Arc<dyn Ledger>,
}

impl Parking {
    /// Parks an origin, if it still is to be.
    pub(crate) async fn park(&self, origin: &Origin) {
        match self.try_park(origin).await {
            Ok(true) => tracing::warn!(%origin, "the peer has been away for two minutes and is parked"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%origin, %error, "the peer is not parked yet"),
        }
    }

    async fn try_park(&self, origin: &Origin) -> Result<bool> {
        let mut turn = self.ledger.turn().await?;
        let peer = turn.lock_peer(origin).await?;
        let (cursor, now) = (turn.cursor().position, turn.now());
        if !peer.parks(now) {
            return Ok(false);
        }
        let parked = BTreeMap::from([(origin.clone(), peer.parked(cursor, now))]);
        turn.put_peers(&parked).await?;
        turn.commit().await?;
        Ok(true)
    }
}
