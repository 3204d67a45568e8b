//! How often: a token bucket for each key.

use std::{hash::Hash, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DashMapStateStore,
};

use crate::settings::Rate;

/// A token bucket for each key. One without a rate lets everything through.
#[derive(Debug)]
pub(crate) struct Limiter<K: Hash + Eq + Clone>(Option<RateLimiter<K, DashMapStateStore<K>, DefaultClock>>);

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self(
            rate.map(|rate| RateLimiter::dashmap(Quota::per_second(rate.per_second).allow_burst(rate.burst))),
        )
    }

    /// Takes one; the error is how long to wait.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter
            .check_key(key)
            .map_err(|denied| denied.wait_time_from(limiter.clock().now()))
    }

    pub(crate) fn forget_recovered(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_what_follows_waits() {
        let limiter = Limiter::new(Some(Rate::new(1, 2)));
        assert_eq!(limiter.check(&"a"), Ok(()));
        assert_eq!(limiter.check(&"a"), Ok(()));
        let wait = limiter.check(&"a").unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(limiter.check(&"b"), Ok(()));
    }

    #[test]
    fn without_a_rate_everything_passes() {
        let limiter = Limiter::new(None);
        assert!((0..10_000).all(|_| limiter.check(&"a").is_ok()));
    }
}
