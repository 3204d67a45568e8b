//! Readiness with its reason.

use std::{collections::BTreeMap, sync::Arc, sync::Mutex};

/// What a process still lacks to be ready. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// A part is not ready, and why. Parts: `log`, `store`, `views`, `fan-out`.
    pub fn lacks(&self, part: &'static str, reason: impl Into<String>) {
        self.lock().insert(part, reason.into());
    }

    /// A part is ready.
    pub fn has(&self, part: &'static str) {
        self.lock().remove(part);
    }

    /// What is lacking, by part; empty: ready.
    #[must_use]
    pub fn lacking(&self) -> BTreeMap<&'static str, String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
