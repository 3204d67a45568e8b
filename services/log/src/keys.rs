//! Signing keys of local actors: opened with the master key when first used, then kept in memory for a while.

use std::sync::Arc;

use fedsx_kernel::key::SigningKey;
use fedsx_runtime::{
    code::{Code, Refusal},
    keyring::{KeyringError, MasterKey},
};
use moka::future::Cache;
use zeroize::Zeroizing;

use crate::plan::Signer;

/// Most keys that are kept open.
const OPEN_KEYS: u64 = 10_000;

/// Draws the secrets of new actors. Where it is not the machine's generator, it is a test.
pub trait Entropy: std::fmt::Debug + Send + Sync + 'static {
    /// 32 bytes that nobody can guess.
    fn seed(&self) -> Zeroizing<[u8; 32]>;
}

/// The operating system's generator, by way of the thread's.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn seed(&self) -> Zeroizing<[u8; 32]> {
        use rand::Rng as _;
        let mut seed = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut *seed);
        seed
    }
}

/// Opens and seals signing keys. A key is sealed under its actor's id, and opens under no other.
#[derive(Debug)]
pub struct Keys {
    master: Arc<MasterKey>,
    /// By actor and version, so that a changed key is never mistaken for the one before.
    open: Cache<(String, u64), Arc<SigningKey>>,
}

impl Keys {
    #[must_use]
    pub fn new(master: Arc<MasterKey>) -> Self {
        Self {
            master,
            open: Cache::new(OPEN_KEYS),
        }
    }

    /// The key that an actor's drafts are signed with.
    ///
    /// # Errors
    /// [`Code::Internal`] where the stored key does not open.
    pub async fn signing_key(&self, actor: &str, signer: &Signer) -> Result<Arc<SigningKey>, Refusal> {
        let stored = match signer {
            Signer::New(key) => return Ok(Arc::clone(key)),
            Signer::Stored(stored) => stored,
        };
        let name = (actor.to_owned(), stored.version);
        if let Some(key) = self.open.get(&name).await {
            return Ok(key);
        }
        let key = self.open(actor, &stored.sealed).map_err(|error| {
            tracing::error!(%actor, "the actor's signing key does not open: {error}");
            Refusal::new(
                Code::Internal,
                format!("the signing key of {actor} does not open"),
            )
        })?;
        let key = Arc::new(key);
        self.open.insert(name, Arc::clone(&key)).await;
        Ok(key)
    }

    /// Opens an actor's sealed key.
    ///
    /// # Errors
    /// [`KeyringError::Sealed`] where it was sealed by another master key, for another actor, or is no key.
    pub fn open(&self, actor: &str, sealed: &[u8]) -> Result<SigningKey, KeyringError> {
        let seed = self.master.open(actor, sealed)?;
        let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| KeyringError::Sealed)?;
        Ok(SigningKey::from_seed(seed))
    }

    /// Seals an actor's key for kv.
    ///
    /// # Errors
    /// [`KeyringError`]
    pub fn seal(&self, actor: &str, key: &SigningKey) -> Result<Vec<u8>, KeyringError> {
        self.master.seal(actor, key.seed().as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoredKey;

    fn keys() -> Keys {
        Keys::new(Arc::new(MasterKey::parse(&MasterKey::generate()).unwrap()))
    }

    fn stored(version: u64, sealed: Vec<u8>) -> Signer {
        Signer::Stored(StoredKey {
            version,
            sealed: sealed.into(),
        })
    }

    #[tokio::test]
    async fn a_key_opens_for_its_actor_and_master_key_only() {
        let (keys, key) = (keys(), SigningKey::from_seed(&SystemEntropy.seed()));
        let sealed = keys.seal("alice", &key).unwrap();
        let opened = keys
            .signing_key("alice", &stored(1, sealed.clone()))
            .await
            .unwrap();
        assert_eq!(opened.verifying_key(), key.verifying_key());
        let refusal = keys
            .signing_key("bob", &stored(1, sealed.clone()))
            .await
            .unwrap_err();
        assert_eq!(refusal.code, Code::Internal);
        assert_eq!(
            super::tests::keys().open("alice", &sealed).unwrap_err(),
            KeyringError::Sealed
        );
        let short = keys.master.seal("alice", b"short").unwrap();
        assert_eq!(keys.open("alice", &short).unwrap_err(), KeyringError::Sealed);
    }

    #[tokio::test]
    async fn a_changed_key_takes_the_place_of_the_one_in_memory() {
        let keys = keys();
        for (version, seed) in [(1, [1; 32]), (2, [2; 32]), (1, [1; 32])] {
            let key = SigningKey::from_seed(&seed);
            let signer = stored(version, keys.seal("alice", &key).unwrap());
            let opened = keys.signing_key("alice", &signer).await.unwrap();
            assert_eq!(opened.verifying_key(), key.verifying_key());
        }
    }

    #[test]
    fn no_two_seeds_are_alike() {
        assert_ne!(SystemEntropy.seed(), SystemEntropy.seed());
    }
}
