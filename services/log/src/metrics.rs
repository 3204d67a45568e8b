//! What the log measures of itself.

use fedsx_kernel::stream::Stream;
use fedsx_proto::v1::Entry;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, exponential_buckets,
};

use crate::registry::check::SKIPPED;

/// The log's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Seconds from a request's arrival to its answer, by call.
    pub append_seconds: HistogramVec,
    /// Requests refused, by call and code.
    pub refusals: IntCounterVec,
    batch_requests: Histogram,
    entries: IntCounterVec,
    skipped: IntCounterVec,
    peer_types: IntCounterVec,
    blobs: IntCounterVec,
    head: IntGauge,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// Where they are registered already.
    pub fn register(registry: &fedsx_runtime::metrics::Metrics) -> prometheus::Result<Self> {
        let seconds = HistogramOpts::new("fedsx_log_append_seconds", "Time until a write was answered")
            .buckets(exponential_buckets(0.0005, 2.0, 15)?);
        let batch = HistogramOpts::new("fedsx_log_batch_requests", "Requests written in one transaction")
            .buckets(exponential_buckets(1.0, 2.0, 11)?);
        let refusals = Opts::new("fedsx_log_refusals_total", "Writes that were refused");
        let entries = Opts::new("fedsx_log_entries_total", "Entries appended by this process");
        let skipped = Opts::new(
            "fedsx_log_validation_skipped_total",
            "Entries of which an object's type could not be resolved, so that it was not checked",
        );
        let peer_types = Opts::new(
            "fedsx_log_peer_types_total",
            "Peers' types that were kept and evicted by this process",
        );
        let blobs = Opts::new(
            "fedsx_log_blobs_total",
            "Blobs that were put, that existed when they were put, and that were found damaged",
        );
        Ok(Self {
            append_seconds: registry.register(HistogramVec::new(seconds, &["call"]))?,
            refusals: registry.register(IntCounterVec::new(refusals, &["call", "code"]))?,
            batch_requests: registry.register(Histogram::with_opts(batch))?,
            entries: registry.register(IntCounterVec::new(entries, &["stream"]))?,
            skipped: registry.register(IntCounterVec::new(skipped, &["stream"]))?,
            peer_types: registry.register(IntCounterVec::new(peer_types, &["event"]))?,
            blobs: registry.register(IntCounterVec::new(blobs, &["event"]))?,
            head: registry.register(IntGauge::new("fedsx_log_head", "The highest position of the log"))?,
        })
    }

    /// The log reaches this far.
    pub fn head(&self, position: u64) {
        self.head.set(i64::try_from(position).unwrap_or(i64::MAX));
    }

    /// A batch was written.
    pub fn committed(&self, requests: usize, entries: &[Entry]) {
        self.batch_requests
            .observe(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
        for entry in entries {
            let stream = kind(&entry.stream);
            self.entries.with_label_values(&[stream]).inc();
            let mut remarks = entry.meta.iter().flat_map(|meta| &meta.remarks);
            if remarks.any(|remark| remark == SKIPPED) {
                self.skipped.with_label_values(&[stream]).inc();
            }
        }
    }

    /// A blob was `put`, `existed` when it was put, was found `damaged`, or was `dropped`.
    pub fn blob(&self, event: &str) {
        self.blobs.with_label_values(&[event]).inc();
    }

    /// So many peers' types were `kept` or `evicted`.
    pub fn peer_types(&self, event: &str, count: u64) {
        self.peer_types.with_label_values(&[event]).inc_by(count);
    }
}

fn kind(stream: &str) -> &'static str {
    match Stream::parse(stream) {
        Some(Stream::Outbox(_)) => "outbox",
        Some(Stream::Inbox(_)) => "inbox",
        Some(Stream::Flow(_)) => "flow",
        Some(Stream::Domain) => "domain",
        None => "unknown",
    }
}
