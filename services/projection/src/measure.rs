//! What is counted.

use fedsx_runtime::metrics::Metrics;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use crate::shard::lease::Lease;

/// The projection's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    lag: IntGaugeVec,
    halted: IntGaugeVec,
    applied: IntCounterVec,
    answers: IntCounterVec,
}

impl Measures {
    /// # Errors
    /// Where they are registered already.
    pub(crate) fn register(metrics: &Metrics) -> prometheus::Result<Self> {
        let gauge = |name, help| metrics.register(IntGaugeVec::new(Opts::new(name, help), &["view"]));
        let counter =
            |name, help, label| metrics.register(IntCounterVec::new(Opts::new(name, help), &[label]));
        Ok(Self {
            lag: gauge(
                "fedsx_projection_lag_entries",
                "Entries of the log that the last shard of a view held here has not seen",
            )?,
            halted: gauge(
                "fedsx_projection_halted_shards",
                "Shards of a view held here that stand still before an entry",
            )?,
            applied: counter(
                "fedsx_projection_entries_applied_total",
                "Entries that shards of a view have applied",
                "view",
            )?,
            answers: counter(
                "fedsx_projection_answers_total",
                "Answers to Follows by outcome",
                "outcome",
            )?,
        })
    }

    /// The shards of a view that are held here, as they stand.
    pub(crate) fn stand<'a>(&self, view: &str, head: u64, leases: impl Iterator<Item = &'a Lease>) {
        let (mut lag, mut halted) = (0, 0);
        for lease in leases {
            lag = lag.max(head.saturating_sub(lease.position));
            halted += i64::from(lease.halted.is_some());
        }
        self.lag
            .with_label_values(&[view])
            .set(i64::try_from(lag).unwrap_or(i64::MAX));
        self.halted.with_label_values(&[view]).set(halted);
    }

    pub(crate) fn applied(&self, view: &str, entries: u64) {
        self.applied.with_label_values(&[view]).inc_by(entries);
    }

    pub(crate) fn answered(&self, outcome: &'static str) {
        self.answers.with_label_values(&[outcome]).inc();
    }
}
