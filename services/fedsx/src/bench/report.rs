//! What a benchmark prints: throughput, and the latencies that people ask for.

use std::time::Duration;

use serde_json::json;

/// How results are printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) json: bool,
}

/// The result of a run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) what: String,
    /// Things done.
    pub(super) count: usize,
    pub(super) elapsed: Duration,
    /// How long each took, as its caller saw it.
    pub(super) latencies: Vec<Duration>,
}

impl Report {
    /// Prints one line, or one JSON object.
    pub(super) fn print(mut self, form: Form) {
        self.latencies.sort_unstable();
        #[allow(
            clippy::cast_precision_loss,
            reason = "a count of benchmark operations is far below 2^52"
        )]
        let rate = self.count as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let [p50, p95, p99, max] = [0.5, 0.95, 0.99, 1.0].map(|share| milliseconds(&self.latencies, share));
        if form.json {
            let value = json!({
                "what": self.what, "count": self.count, "seconds": self.elapsed.as_secs_f64(), "perSecond": rate,
                "p50Millis": p50, "p95Millis": p95, "p99Millis": p99, "maxMillis": max,
            });
            println!("{value}");
            return;
        }
        if self.latencies.is_empty() {
            println!(
                "{}: {} in {:.2} s, {rate:.0}/s",
                self.what,
                self.count,
                self.elapsed.as_secs_f64()
            );
            return;
        }
        println!(
            "{}: {} in {:.2} s, {rate:.0}/s; latency p50 {p50:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms, max {max:.2} ms",
            self.what,
            self.count,
            self.elapsed.as_secs_f64(),
        );
    }
}

/// The latency below which this share of a sorted list lies (nearest rank).
fn milliseconds(sorted: &[Duration], share: f64) -> f64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank within a slice"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let sorted: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert!((milliseconds(&sorted, 0.5) - 50.0).abs() < 1e-9);
        assert!((milliseconds(&sorted, 0.99) - 99.0).abs() < 1e-9);
        assert!((milliseconds(&sorted, 1.0) - 100.0).abs() < 1e-9);
        assert!(milliseconds(&[], 0.5).abs() < 1e-9);
    }
}
