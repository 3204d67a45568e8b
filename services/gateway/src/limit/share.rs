//! How many at once: a share for each key, so that one client holds no more than a part of what there is for all.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// At most so many at once for each key. A key that holds none is forgotten.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    each: usize,
    held: Arc<Held<K>>,
}

type Held<K> = Mutex<HashMap<K, Arc<Semaphore>>>;

/// One of a key's share; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share<K: Hash + Eq> {
    held: Arc<Held<K>>,
    key: K,
    permit: Option<OwnedSemaphorePermit>,
}

impl<K: Hash + Eq + Clone> Shares<K> {
    /// At least one each.
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each: each.max(1),
            held: Arc::default(),
        }
    }

    /// One of a key's share; none where all are held.
    pub(crate) fn try_take(&self, key: K) -> Option<Share<K>> {
        let mut share = self.nothing(key);
        share.permit = self.of(&share.key).try_acquire_owned().ok();
        share.permit.is_some().then_some(share)
    }

    /// One of a key's share, as soon as there is one.
    pub(crate) async fn take(&self, key: K) -> Option<Share<K>> {
        // Made before the wait, so that who gives up waiting forgets the key too.
        let mut share = self.nothing(key);
        share.permit = self.of(&share.key).acquire_owned().await.ok();
        share.permit.is_some().then_some(share)
    }

    fn nothing(&self, key: K) -> Share<K> {
        Share {
            held: self.held.clone(),
            key,
            permit: None,
        }
    }

    fn of(&self, key: &K) -> Arc<Semaphore> {
        let mut held = lock(&self.held);
        match held.get(key) {
            Some(semaphore) => semaphore.clone(),
            None => {
                let semaphore = Arc::new(Semaphore::new(self.each));
                held.insert(key.clone(), semaphore.clone());
                semaphore
            }
        }
    }
}

impl<K: Hash + Eq> Drop for Share<K> {
    fn drop(&mut self) {
        self.permit.take();
        let mut held = lock(&self.held);
        // Permits and those who wait for one hold on to it.
        if held
            .get(&self.key)
            .is_some_and(|semaphore| Arc::strong_count(semaphore) == 1)
        {
            held.remove(&self.key);
        }
    }
}

fn lock<K>(held: &Held<K>) -> MutexGuard<'_, HashMap<K, Arc<Semaphore>>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_key_holds_its_share_and_leaves_others_theirs() {
        let shares = Shares::new(2);
        let one = shares.try_take("a").unwrap();
        let _two = shares.take("a").await.unwrap();
        assert!(shares.try_take("a").is_none());
        assert!(shares.take("a").now_or_never().is_none());
        assert!(shares.try_take("b").is_some());
        drop(one);
        assert!(shares.try_take("a").is_some());
    }

    #[tokio::test]
    async fn who_waits_is_given_what_another_gives_back() {
        let shares = Shares::new(1);
        let one = shares.try_take("a").unwrap();
        let mut waiting = Box::pin(shares.take("a"));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(one);
        assert!(waiting.await.is_some());
    }

    #[tokio::test]
    async fn a_key_without_any_is_forgotten() {
        let shares = Shares::new(1);
        let one = shares.try_take("a").unwrap();
        let mut waiting = Box::pin(shares.take("a"));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(shares.try_take("a").is_none());
        drop(one);
        drop(waiting);
        assert!(lock(&shares.held).is_empty());
    }
}
