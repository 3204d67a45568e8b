//! Whose deliveries these are, and how many at once.

use std::{sync::Arc, time::Duration};

use fedsx_kernel::origin::Origin;
use fedsx_runtime::keyring::MasterKey;
use jiff::SignedDuration;

/// The delivery service's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domain.
    pub origin: Origin,
    /// Opens the actors' signing keys.
    pub master_key: Arc<MasterKey>,
    /// Names this process to the others: two that run at the same time must differ. One that starts again under its name
    /// ends its earlier life's claims and takes its lease back, without waiting for them to expire.
    pub owner: String,
    /// Whether this process fans out, sends and sweeps; without, it only answers about the ledger.
    pub workers: bool,
    /// Lanes that are sent at the same time.
    pub lanes: usize,
    /// Lanes of one origin that are sent at the same time, so that a slow peer cannot hold all.
    pub lanes_per_origin: usize,
    /// How often is looked for what came due; whatever can be announced is acted upon at once.
    pub tick: Duration,
    /// How long delivered rows are kept.
    pub retention: SignedDuration,
    /// How long fan-out's lease is good for without being renewed.
    pub lease: SignedDuration,
}

impl Settings {
    /// Settings for a domain that runs in one process.
    #[must_use]
    pub fn new(origin: Origin, master_key: Arc<MasterKey>) -> Self {
        Self {
            origin,
            master_key,
            owner: "delivery".to_owned(),
            workers: true,
            lanes: 256,
            lanes_per_origin: 32,
            tick: Duration::from_millis(250),
            retention: SignedDuration::from_hours(30 * 24),
            lease: SignedDuration::from_secs(10),
        }
    }
}
