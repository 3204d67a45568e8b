//! How a gateway behaves; every value but the origin has a default.

use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use fedsx_kernel::origin::Origin;
use http::HeaderName;

/// So many requests a second in the long run, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

impl Rate {
    /// A rate; a zero counts as one.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: at_least_one(per_second),
            burst: at_least_one(burst),
        }
    }

    /// A part of this one.
    pub(crate) const fn part(self, divisor: u32) -> Self {
        Self::new(self.per_second.get() / divisor, self.burst.get() / divisor)
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// What a gateway needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domain's public origin: every id and `@target-uri` derives from it, never from `Host`.
    pub origin: Origin,
    /// Peers whose trace our spans become part of; other peers' traces are linked.
    pub trusted_origins: BTreeSet<Origin>,
    /// The header in which a proxy names the client, `x-forwarded-for`; its last address counts. Set it only where
    /// every request comes through such a proxy, else clients choose their own address; behind a proxy without it, all
    /// clients count as one.
    pub client_address_header: Option<HeaderName>,
    /// Requests of one client address (IPv6: one /64); none: no limit.
    pub client_rate: Option<Rate>,
    /// Requests of one client address under way at once; one beyond it is answered 429.
    pub client_requests: usize,
    /// Activities of one origin that it sends itself, by its HTTP signature; and once more those that pass by their proof
    /// alone. None: no limit.
    pub origin_rate: Option<Rate>,
    /// Our own fetches to one origin, whoever caused them; one client causes at most half of it. None: no limit.
    pub fetch_rate: Option<Rate>,
    /// Whether types that are not here are fetched from the sender's origin.
    pub type_fetch: bool,
    /// Whether an activity is refused whose object's type cannot be had; the log's setting is the same.
    pub strict_object_schema: bool,
    /// What is stored altogether for an origin that nobody here follows, by however many gateways. Bytes.
    pub stranger_quota: u64,
    /// A body must have arrived within this time.
    pub body_timeout: Duration,
    /// Bodies under way in this process, with what is parsed of them, may together take so much memory; a request beyond
    /// it is answered 503. Bytes.
    pub body_budget: usize,
    /// Those of one client address; a request beyond it is answered 429. A single body takes at most 17 MiB. Bytes.
    pub client_body_budget: usize,
    /// Blobs under way to their readers may together take so much memory, 256 KiB each; a request beyond it is answered 503.
    /// Bytes.
    pub blob_budget: usize,
    /// Those of one client address; a request beyond it is answered 429. Bytes.
    pub client_blob_budget: usize,
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            trusted_origins: BTreeSet::new(),
            client_address_header: None,
            client_rate: Some(Rate::new(1000, 4000)),
            client_requests: 256,
            origin_rate: Some(Rate::new(1000, 4000)),
            fetch_rate: Some(Rate::new(20, 100)),
            type_fetch: true,
            strict_object_schema: false,
            stranger_quota: 64 << 20,
            body_timeout: Duration::from_secs(10),
            body_budget: 128 << 20,
            client_body_budget: 32 << 20,
            blob_budget: 64 << 20,
            client_blob_budget: 16 << 20,
        }
    }
}
