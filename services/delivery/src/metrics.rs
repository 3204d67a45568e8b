//! What delivery counts.

use fedsx_kernel::{delivery::outcome::Outcome, origin::Origin};
use fedsx_runtime::metrics::Metrics as Registry;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// Delivery's collectors. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    outcomes: IntCounterVec,
    seconds: HistogramVec,
    /// Lanes that are due and wait for a worker.
    pub(crate) lanes_due: IntGauge,
    /// Messages that wait in the queue.
    pub(crate) queue_depth: IntGauge,
    /// Pending deliveries.
    pub(crate) pending: IntGauge,
    /// Entries between the log's head and fan-out's cursor.
    pub(crate) lag: IntGauge,
    peers: IntGaugeVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| registry.register(IntGauge::new(name, help));
        let outcomes = Opts::new(
            "fedsx_delivery_outcomes_total",
            "Attempts by outcome, status and host",
        );
        let seconds = HistogramOpts::new("fedsx_delivery_attempt_seconds", "Time of one attempt")
            .buckets(prometheus::exponential_buckets(0.001, 2.0, 14)?);
        let peers = Opts::new(
            "fedsx_delivery_peer_state",
            "1 for each peer that is parked or catches up",
        );
        Ok(Self {
            outcomes: registry.register(IntCounterVec::new(outcomes, &["outcome", "code", "host"]))?,
            seconds: registry.register(HistogramVec::new(seconds, &["outcome"]))?,
            lanes_due: gauge("fedsx_delivery_lanes_due", "Lanes that are due and unclaimed")?,
            queue_depth: gauge("fedsx_delivery_queue_depth", "Messages that wait in the queue")?,
            pending: gauge("fedsx_delivery_pending", "Pending deliveries")?,
            lag: gauge(
                "fedsx_delivery_fan_out_lag",
                "Entries that fan-out has not looked at",
            )?,
            peers: registry.register(IntGaugeVec::new(peers, &["state", "host"]))?,
        })
    }

    /// Counts an attempt. `status` 0: there was none.
    pub(crate) fn attempted(&self, origin: &Origin, outcome: Outcome, status: u16, seconds: f64) {
        let outcome = label(outcome);
        self.outcomes
            .with_label_values(&[outcome, &status.to_string(), origin.authority()])
            .inc();
        self.seconds.with_label_values(&[outcome]).observe(seconds);
    }

    /// Shows which peers are not live.
    pub(crate) fn unwell(&self, peers: impl IntoIterator<Item = (&'static str, Origin)>) {
        self.peers.reset();
        for (state, origin) in peers {
            self.peers.with_label_values(&[state, origin.authority()]).set(1);
        }
    }
}

/// An outcome's name in metrics and traces.
pub(crate) fn label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Refused => "refused",
        Outcome::Gone => "gone",
        Outcome::Retry => "retry",
        Outcome::Throttled(_) => "throttled",
        Outcome::OriginFailed => "origin_failed",
    }
}
