//! Readiness with its reason.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

/// What is lacking, by part.
pub type Lacking = BTreeMap<&'static str, String>;

/// What a process still lacks to be ready. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    lacking: Arc<watch::Sender<Lacking>>,
    started: Arc<AtomicBool>,
}

/// The part of a process that is starting, or stopping.
const PROCESS: &str = "process";

impl Default for Readiness {
    /// Lacks nothing.
    fn default() -> Self {
        Self {
            lacking: Arc::new(watch::Sender::new(Lacking::new())),
            started: Arc::default(),
        }
    }
}

impl Readiness {
    /// Of a process that is starting: not ready until [`Readiness::started`], whatever its parts say.
    #[must_use]
    pub fn starting() -> Self {
        let readiness = Self::default();
        readiness.lacks(PROCESS, "it is starting");
        readiness
    }

    /// Every part runs; from now on the parts alone decide.
    pub fn started(&self) {
        self.has(PROCESS);
    }

    /// The process is about to end and wants no new work.
    pub fn stopping(&self) {
        self.lacks(PROCESS, "it is stopping");
    }

    /// A part is not ready, and why. Parts: `store`, `log`, `projection`, `views`, `fan-out`, `broker`.
    pub fn lacks(&self, part: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        self.lacking.send_if_modified(|lacking| {
            let modified = lacking.get(part) != Some(&reason);
            lacking.insert(part, reason);
            modified
        });
    }

    /// A part is ready.
    pub fn has(&self, part: &'static str) {
        self.lacking
            .send_if_modified(|lacking| lacking.remove(part).is_some());
        if self.lacking.borrow().is_empty() {
            self.started.store(true, Ordering::Relaxed);
        }
    }

    /// What is lacking; empty: ready.
    #[must_use]
    pub fn lacking(&self) -> Lacking {
        self.lacking.borrow().clone()
    }

    /// Whether it has been ready at least once.
    #[must_use]
    pub fn was_ready(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// Tells every change of what is lacking.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Lacking> {
        self.lacking.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_it_has_started_and_no_part_lacks() {
        let readiness = Readiness::starting();
        readiness.lacks("store", "connection refused");
        readiness.started();
        assert_eq!(readiness.lacking()["store"], "connection refused");
        assert!(!readiness.was_ready());
        readiness.has("store");
        assert!(readiness.lacking().is_empty() && readiness.was_ready());
        readiness.stopping();
        assert_eq!(readiness.lacking()["process"], "it is stopping");
        assert!(readiness.was_ready());
    }
}
