//! Whose turn it is to fetch: there are so many fetches at once, and neither the client that causes them nor the origin
//! that they go to holds more than a small part of them.

use std::{net::IpAddr, time::Duration};

use fedsx_kernel::origin::Origin;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::limit::{
    Client,
    share::{Share, Shares},
};

/// Fetches under way at once.
const MAX_FETCHES: usize = 64;
/// Of these, to one origin: one that answers slowly holds no more.
const OF_ONE_TARGET: usize = 8;
/// Actors and types unknown here that one client may have looked up at once.
const OF_ONE_CLIENT: usize = 8;
/// How long is waited for a turn.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Turns {
    clients: Shares<IpAddr>,
    targets: Shares<Origin>,
    all: Semaphore,
}

/// A fetch that may begin; over when dropped.
#[derive(Debug)]
pub(super) struct Fetching<'a> {
    _target: Share<Origin>,
    _all: SemaphorePermit<'a>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            clients: Shares::new(OF_ONE_CLIENT),
            targets: Shares::new(OF_ONE_TARGET),
            all: Semaphore::new(MAX_FETCHES),
        }
    }
}

impl Turns {
    /// A client's turn to have something looked up, on its own or together with others who want the same; none where it
    /// has too many under way for too long. It is taken before those are joined: a client that has to wait must let nobody
    /// else wait.
    pub(super) async fn look_up(&self, client: Client) -> Option<Share<IpAddr>> {
        timeout(PATIENCE, self.clients.take(client.0))
            .await
            .ok()
            .flatten()
    }

    /// A turn to fetch from an origin.
    pub(super) async fn fetch(&self, target: &Origin) -> Option<Fetching<'_>> {
        let turn = async {
            // In this order: who waits for an origin's share holds none of what all share.
            let target = self.targets.take(target.clone()).await?;
            let all = self.all.acquire().await.ok()?;
            Some(Fetching {
                _target: target,
                _all: all,
            })
        };
        timeout(PATIENCE, turn).await.ok().flatten()
    }
}
