//! Readiness of the broker, whose connections come and go one by one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use fedsx_runtime::health::Readiness;

/// The part of readiness that is the broker's.
const PART: &str = "broker";

/// What each of the broker's connections lacks. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Health {
    readiness: Readiness,
    lacking: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Health {
    /// The broker is not ready until every one of these connections is.
    pub(super) fn starting(readiness: Readiness, purposes: &[&'static str]) -> Self {
        let reason = "it has not answered yet".to_owned();
        readiness.lacks(PART, reason.clone());
        let lacking = purposes.iter().map(|purpose| (*purpose, reason.clone()));
        Self {
            readiness,
            lacking: Arc::new(Mutex::new(lacking.collect())),
        }
    }

    /// A connection stands, or why it does not. Logs what is new.
    pub(super) fn report(&self, purpose: &'static str, state: Result<(), String>) {
        let mut lacking = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
        match state {
            Ok(()) => {
                if lacking.remove(purpose).is_some() {
                    tracing::info!(purpose, "the broker is there");
                }
            }
            Err(reason) => {
                if lacking.get(purpose) != Some(&reason) {
                    tracing::warn!(purpose, %reason, "the broker is not to be had; the ledger keeps what is due");
                }
                lacking.insert(purpose, reason);
            }
        }
        match lacking.values().next() {
            Some(reason) => self.readiness.lacks(PART, reason.clone()),
            None => self.readiness.has(PART),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_is_ready_when_all_its_connections_are() {
        let readiness = Readiness::default();
        let health = Health::starting(readiness.clone(), &["one", "two"]);
        health.report("one", Ok(()));
        assert!(readiness.lacking().contains_key(PART));
        health.report("two", Ok(()));
        assert!(readiness.lacking().is_empty());
        health.report("one", Err("refused".to_owned()));
        assert_eq!(readiness.lacking()[PART], "refused");
    }
}
