//! What the edge of every service shares.
//!
//! A service takes from here its configuration, its clock, its telemetry, the way it answers errors, the guarded client
//! it reaches strangers with, and the transport that joins it to the other services. Nothing here knows what an
//! activity is.

use std::sync::Arc;

pub mod admin;
pub mod clock;
pub mod code;
pub mod config;
pub mod database;
pub mod fetch;
pub mod grpc;
pub mod health;
pub mod keyring;
pub mod metrics;
pub mod problem;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod transport;

/// What the process lends to each of its services. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    pub clock: Arc<dyn clock::Clock>,
    pub metrics: metrics::Metrics,
    pub readiness: health::Readiness,
    pub shutdown: shutdown::Shutdown,
}

impl Default for Context {
    /// The system's clock, and nothing registered yet.
    fn default() -> Self {
        Self {
            clock: Arc::new(clock::SystemClock),
            metrics: metrics::Metrics::default(),
            readiness: health::Readiness::default(),
            shutdown: shutdown::Shutdown::default(),
        }
    }
}
