//! Prometheus metrics: each service registers its own, labelled with hosts and codes, never with ids.

use prometheus::{Encoder as _, Registry, TextEncoder};

/// The registry of one domain's process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            registry: Registry::new(),
        }
    }
}

impl Metrics {
    /// Registers a collector and hands it back.
    ///
    /// # Errors
    /// [`prometheus::Error`] where the definition is unsound or its name is taken.
    pub fn register<C>(&self, collector: prometheus::Result<C>) -> prometheus::Result<C>
    where
        C: prometheus::core::Collector + Clone + 'static,
    {
        let collector = collector?;
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    /// The text exposition format, version 0.0.4.
    ///
    /// # Errors
    /// [`prometheus::Error`]
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
