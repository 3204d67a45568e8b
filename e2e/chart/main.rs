//! What the chart of a domain, and that of the try-out servers, promise, shown by what it renders: that every object is what Kubernetes takes, that pods are as
//! restricted as they can be, that secrets and policies are those of the README's table, and that a wrong value is refused by
//! name. The rendered examples are held as snapshots. That it works, the cluster shows.
//!
//! Needs helm: `HELM`, the one on `PATH`, or what `e2e/tools.sh` builds.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of it is tests"
)]

mod alert_labels;
mod alerts;
mod api;
mod arrows;
mod bundle;
mod examples;
mod helm;
mod legal;
mod names;
mod nulls;
mod peers;
mod pods;
mod refusals;
mod running;
mod scaling;
mod secrets;
mod self_test;
mod tryout;
mod values;
