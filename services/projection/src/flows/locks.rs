//! One at a time for each key of the domain's state, among the flows of this process: they would only lose to each other
//! otherwise.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Keys that share a lock wait for each other too.
const STRIPES: usize = 256;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Locks {
    stripes: Arc<[Arc<Mutex<()>>]>,
    hasher: RandomState,
}

impl Default for Locks {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Arc::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Locks {
    /// Waits until nobody else has the key. Who has one asks for no other.
    pub(crate) async fn lock(&self, key: &str) -> Option<OwnedMutexGuard<()>> {
        let stripes = u64::try_from(STRIPES).unwrap_or(1);
        let stripe = usize::try_from(self.hasher.hash_one(key) % stripes).ok()?;
        let stripe = self.stripes.get(stripe)?.clone();
        Some(stripe.lock_owned().await)
    }
}
