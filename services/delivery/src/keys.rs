//! The local actors' signing keys: from the log's kv, opened with the master key, kept for a while.

use std::{sync::Arc, time::Duration};

use fedsx_kernel::{actor, key::SigningKey};
use fedsx_runtime::{
    code::{Code, Refusal},
    keyring::MasterKey,
};
use moka::future::Cache;

use crate::log::Log;

/// The kv space of sealed keys, by actor id.
const SPACE: &str = "key";
/// Keys that are kept open.
const KEPT: u64 = 10_000;
/// A rotated key is noticed after so long.
const FRESH: Duration = Duration::from_secs(300);

/// An actor's key and its id.
#[derive(Debug)]
pub(crate) struct ActorKey {
    pub(crate) id: String,
    pub(crate) key: SigningKey,
}

/// The keys that requests are signed with.
#[derive(Debug)]
pub(crate) struct Keys {
    log: Log,
    master: Arc<MasterKey>,
    open: Cache<String, Arc<ActorKey>>,
}

impl Keys {
    pub(crate) fn new(log: Log, master: Arc<MasterKey>) -> Self {
        Self {
            log,
            master,
            open: Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build(),
        }
    }

    /// An actor's key.
    ///
    /// # Errors
    /// [`Code::Unavailable`] where the log is away; [`Code::NotFound`] where the actor has no key; [`Code::Internal`] where it
    /// does not open.
    pub(crate) async fn of(&self, actor: &str) -> Result<Arc<ActorKey>, Arc<Refusal>> {
        self.open.try_get_with_by_ref(actor, self.load(actor)).await
    }

    async fn load(&self, actor: &str) -> Result<Arc<ActorKey>, Refusal> {
        let unusable = |why: String| Refusal::new(Code::Internal, format!("the key of {actor}: {why}"));
        let item = self.log.get_kv(SPACE, actor).await?;
        let item = item.ok_or_else(|| Refusal::new(Code::NotFound, format!("{actor} has no key")))?;
        let seed = self
            .master
            .open(actor, &item.value)
            .map_err(|error| unusable(error.to_string()))?;
        let seed: &[u8; 32] = seed
            .as_slice()
            .try_into()
            .map_err(|_| unusable("it has not 32 bytes".to_owned()))?;
        Ok(Arc::new(ActorKey {
            id: actor::key_id(actor),
            key: SigningKey::from_seed(seed),
        }))
    }
}
