//! What is counted.

use fedsx_kernel::flow::Status;
use fedsx_runtime::metrics::Metrics;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts};

use crate::{shard::lease::Lease, source::Batch};

/// The projection's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    position: IntGaugeVec,
    lag: IntGaugeVec,
    halted: IntGaugeVec,
    batch: Histogram,
    applied: IntCounterVec,
    answers: IntCounterVec,
    flows: IntCounterVec,
}

impl Measures {
    /// # Errors
    /// Where they are registered already.
    pub(crate) fn register(metrics: &Metrics) -> prometheus::Result<Self> {
        let gauge = |name, help| metrics.register(IntGaugeVec::new(Opts::new(name, help), &["view"]));
        let counter =
            |name, help, label| metrics.register(IntCounterVec::new(Opts::new(name, help), &[label]));
        let sizes = prometheus::exponential_buckets(1.0, 4.0, 7)?;
        Ok(Self {
            position: gauge(
                "fedsx_projection_position",
                "Where in the log the last shard of a view held here stands",
            )?,
            lag: gauge(
                "fedsx_projection_lag_entries",
                "Entries of the log that the last shard of a view held here has not seen",
            )?,
            halted: gauge(
                "fedsx_projection_halted_shards",
                "Shards of a view held here that stand still before an entry",
            )?,
            batch: metrics.register(Histogram::with_opts(
                HistogramOpts::new(
                    "fedsx_projection_batch_entries",
                    "Entries of the log that were folded in one batch, also those that concern no view",
                )
                .buckets(sizes),
            ))?,
            applied: counter(
                "fedsx_projection_entries_applied_total",
                "Entries that shards of a view have applied",
                "view",
            )?,
            flows: metrics.register(IntCounterVec::new(
                Opts::new(
                    "fedsx_projection_flows_total",
                    "Transitions of flows that left one in a status, by behaviour",
                ),
                &["behaviour", "status"],
            ))?,
            answers: counter(
                "fedsx_projection_answers_total",
                "Answers to Follows by outcome",
                "outcome",
            )?,
        })
    }

    /// The shards of a view that are held here, as they stand; where none is, others tell.
    pub(crate) fn stand<'a>(&self, view: &str, head: u64, leases: impl Iterator<Item = &'a Lease>) {
        let (mut lowest, mut halted) = (None, 0);
        for lease in leases {
            lowest = Some(lowest.unwrap_or(u64::MAX).min(lease.position));
            halted += i64::from(lease.halted.is_some());
        }
        let Some(lowest) = lowest else {
            for gauge in [&self.position, &self.lag, &self.halted] {
                // An error: it was not there either.
                let _ = gauge.remove_label_values(&[view]);
            }
            return;
        };
        let set = |gauge: &IntGaugeVec, value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            gauge.with_label_values(&[view]).set(value);
        };
        set(&self.position, lowest);
        set(&self.lag, head.saturating_sub(lowest));
        self.halted.with_label_values(&[view]).set(halted);
    }

    pub(crate) fn batch(&self, batch: &Batch) {
        let entries = u32::try_from(batch.last - batch.after).unwrap_or(u32::MAX);
        self.batch.observe(entries.into());
    }

    pub(crate) fn applied(&self, view: &str, entries: u64) {
        self.applied.with_label_values(&[view]).inc_by(entries);
    }

    /// A flow's transition was recorded.
    pub(crate) fn moved(&self, behaviour: &str, status: Status) {
        self.flows.with_label_values(&[behaviour, status.as_str()]).inc();
    }

    pub(crate) fn answered(&self, outcome: &'static str) {
        self.answers.with_label_values(&[outcome]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{Digest, ShardId};

    fn lease(shard: u32, position: u64) -> Lease {
        Lease {
            shard: ShardId::new("actors", shard),
            epoch: 1,
            position,
            count: 0,
            digest: Digest::default(),
            halted: None,
        }
    }

    #[test]
    fn the_last_shard_tells_and_where_none_is_held_nobody() {
        let metrics = Metrics::default();
        let measures = Measures::register(&metrics).unwrap();
        let text = || String::from_utf8(metrics.render().unwrap()).unwrap();
        measures.stand("actors", 9, [lease(0, 7), lease(1, 4)].iter());
        for line in [r#"position{view="actors"} 4"#, r#"lag_entries{view="actors"} 5"#] {
            assert!(text().contains(line), "{}", text());
        }
        measures.stand("actors", 9, [].iter());
        assert!(!text().contains("actors"), "{}", text());
    }
}
