//! What is counted and told about every request.

use std::time::{Duration, Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use fedsx_runtime::{code::Code, metrics::Metrics};
use http::{HeaderValue, Method, header};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts};

use crate::{App, problem::Refused};

/// Upper bounds of the latency buckets. Seconds.
const BUCKETS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];

/// Upper bounds of the buckets of appends in one call.
const BATCHES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0];

/// The gateway's metrics.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    requests: IntCounterVec,
    seconds: HistogramVec,
    refusals: IntCounterVec,
    inbox: IntCounterVec,
    inbox_seconds: Histogram,
    unverified: IntCounterVec,
    pub(crate) fetches: IntCounterVec,
    pub(crate) type_fetches: IntCounterVec,
    pub(crate) appends: Appends,
}

/// How appends to the log go.
#[derive(Debug, Clone)]
pub(crate) struct Appends {
    seconds: Histogram,
    batch: Histogram,
}

impl Measures {
    pub(crate) fn register(metrics: &Metrics) -> prometheus::Result<Self> {
        let counter =
            |name, help, labels: &[&str]| metrics.register(IntCounterVec::new(Opts::new(name, help), labels));
        let histogram = |name, help, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            metrics.register(Histogram::with_opts(opts))
        };
        let seconds = HistogramOpts::new("fedsx_gateway_request_seconds", "Time to answer a request")
            .buckets(BUCKETS.to_vec());
        Ok(Self {
            requests: counter(
                "fedsx_gateway_requests_total",
                "Requests by route, method and status",
                &["route", "method", "status"],
            )?,
            seconds: metrics.register(HistogramVec::new(seconds, &["route"]))?,
            refusals: counter(
                "fedsx_gateway_refusals_total",
                "Refused requests by code",
                &["code"],
            )?,
            inbox: counter(
                "fedsx_gateway_inbox_total",
                "Posted activities by outcome: accepted, duplicate, or the code of their refusal",
                &["outcome"],
            )?,
            inbox_seconds: histogram(
                "fedsx_gateway_inbox_seconds",
                "Time to answer a posted activity, its body's arrival included",
                &BUCKETS,
            )?,
            unverified: counter(
                "fedsx_gateway_verification_failures_total",
                "Requests whose digest, signature or proof could not be verified, by code",
                &["code"],
            )?,
            fetches: counter(
                "fedsx_gateway_fetches_total",
                "Fetches of peers' actor documents by outcome",
                &["outcome"],
            )?,
            type_fetches: counter(
                "fedsx_gateway_type_fetches_total",
                "Fetches of peers' types by outcome",
                &["outcome"],
            )?,
            appends: Appends {
                seconds: histogram(
                    "fedsx_gateway_append_seconds",
                    "Time until the log had answered an append",
                    &BUCKETS,
                )?,
                batch: histogram(
                    "fedsx_gateway_append_batch",
                    "Appends that went to the log in one call",
                    &BATCHES,
                )?,
            },
        })
    }

    /// An activity was posted; `outcome` says what became of it: accepted, duplicate, or the code of its refusal.
    pub(crate) fn posted(&self, outcome: &'static str, took: Duration) {
        self.inbox.with_label_values(&[outcome]).inc();
        self.inbox_seconds.observe(took.as_secs_f64());
    }

    /// Counts a refusal that is about who signed, and hands it on.
    pub(crate) fn verification(&self, code: Code) {
        if matches!(
            code,
            Code::DigestMismatch
                | Code::MissingSignature
                | Code::UnusableSignature
                | Code::StaleDate
                | Code::UnknownKey
                | Code::BadSignature
                | Code::NotTheActor
                | Code::FetchFailed
        ) {
            self.unverified.with_label_values(&[code.as_str()]).inc();
        }
    }
}

impl Appends {
    pub(crate) fn took(&self, time: Duration) {
        self.seconds.observe(time.as_secs_f64());
    }

    pub(crate) fn gathered(&self, appends: usize) {
        self.batch
            .observe(u32::try_from(appends).map_or(f64::INFINITY, f64::from));
    }
}

/// Counts every request, logs refusals once, and lets any page read what is public.
pub(crate) async fn requests(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    // A label must not be a stranger's to choose: routes as they are written here, and the methods that are answered.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    };
    let mut response = next.run(request).await;
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let measures = &app.measures;
    measures
        .requests
        .with_label_values(&[route, method, response.status().as_str()])
        .inc();
    measures
        .seconds
        .with_label_values(&[route])
        .observe(begun.elapsed().as_secs_f64());
    if let Some(Refused(refusal)) = response.extensions().get() {
        measures
            .refusals
            .with_label_values(&[refusal.code.as_str()])
            .inc();
        tracing::debug!(code = %refusal.code, detail = %refusal.detail, route, method, "a request was refused");
    }
    if matches!(method, "GET" | "HEAD") {
        response
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}
