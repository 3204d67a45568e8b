//! What delivery counts.

mod hosts;

use fedsx_kernel::{delivery::outcome::Outcome, origin::Origin};
use fedsx_runtime::metrics::Metrics as Registry;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::schedule::pace::Class;
use hosts::Hosts;

/// Delivery's collectors. Cheap to clone. Those that tell of the ledger or the queue are the same in each process; the
/// others tell of this one.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    hosts: Hosts,
    outcomes: IntCounterVec,
    seconds: HistogramVec,
    under_way: IntGaugeVec,
    /// Claims that ran out, or were taken for lost, before what was sent under them was recorded.
    pub(crate) claims_lost: IntCounter,
    /// Lanes that are due and wait for a worker.
    pub(crate) lanes_due: IntGauge,
    /// Messages that wait in the queue.
    pub(crate) queue_depth: IntGauge,
    /// Pending deliveries.
    pub(crate) pending: IntGauge,
    /// Fan-out's cursor.
    pub(crate) position: IntGauge,
    /// Entries between the log's head and fan-out's cursor; 0 where another process follows the log.
    pub(crate) lag: IntGauge,
    peers: IntGaugeVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| registry.register(IntGauge::new(name, help));
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            registry.register(IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let outcomes = Opts::new(
            "fedsx_delivery_outcomes_total",
            "Attempts by outcome, status and host",
        );
        let seconds = HistogramOpts::new("fedsx_delivery_attempt_seconds", "Time of one attempt")
            .buckets(prometheus::exponential_buckets(0.001, 2.0, 15)?);
        Ok(Self {
            hosts: Hosts::default(),
            outcomes: registry.register(IntCounterVec::new(outcomes, &["outcome", "code", "host"]))?,
            seconds: registry.register(HistogramVec::new(seconds, &["outcome"]))?,
            under_way: gauges(
                "fedsx_delivery_lanes_under_way",
                "Lanes that this process sends, by how their peers answer",
                &["pace"],
            )?,
            claims_lost: registry.register(IntCounter::new(
                "fedsx_delivery_claims_lost_total",
                "Claims that were somebody else's before what was sent under them was recorded",
            ))?,
            lanes_due: gauge("fedsx_delivery_lanes_due", "Lanes that are due and unclaimed")?,
            queue_depth: gauge("fedsx_delivery_queue_depth", "Messages that wait in the queue")?,
            pending: gauge("fedsx_delivery_pending", "Pending deliveries")?,
            position: gauge(
                "fedsx_delivery_fan_out_position",
                "The last entry that is fanned out",
            )?,
            lag: gauge(
                "fedsx_delivery_fan_out_lag",
                "Entries that fan-out has not looked at",
            )?,
            peers: gauges(
                "fedsx_delivery_peer_state",
                "1 for each peer that is parked or catches up",
                &["state", "host"],
            )?,
        })
    }

    /// Counts an attempt. `status` 0: there was none.
    pub(crate) fn attempted(&self, origin: &Origin, outcome: Outcome, status: u16, seconds: f64) {
        let outcome = label(outcome);
        let host = self.hosts.label(origin);
        self.outcomes
            .with_label_values(&[outcome, &status.to_string(), host])
            .inc();
        self.seconds.with_label_values(&[outcome]).observe(seconds);
    }

    /// Shows how many lanes are under way.
    pub(crate) fn under_way(&self, lanes: impl Fn(Class) -> usize) {
        for class in Class::ALL {
            let lanes = i64::try_from(lanes(class)).unwrap_or(i64::MAX);
            self.under_way.with_label_values(&[class.as_str()]).set(lanes);
        }
    }

    /// Shows which peers are not live. Those beyond the hosts that are told apart are counted together.
    pub(crate) fn unwell(&self, peers: impl IntoIterator<Item = (&'static str, Origin)>) {
        self.peers.reset();
        for (state, origin) in peers {
            let host = self.hosts.label(&origin);
            self.peers.with_label_values(&[state, host]).inc();
        }
    }
}

/// An outcome's name in metrics, in traces and to operators.
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
