//! What is counted and told about every request.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use fedsx_runtime::metrics::Metrics;
use http::{HeaderValue, Method, header};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

use crate::{App, problem::Refused};

/// Upper bounds of the latency buckets. Seconds.
const BUCKETS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];

/// The gateway's metrics.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    requests: IntCounterVec,
    seconds: HistogramVec,
    refusals: IntCounterVec,
    pub(crate) fetches: IntCounterVec,
}

impl Measures {
    pub(crate) fn register(metrics: &Metrics) -> prometheus::Result<Self> {
        let counter =
            |name, help, labels: &[&str]| metrics.register(IntCounterVec::new(Opts::new(name, help), labels));
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
            fetches: counter(
                "fedsx_gateway_fetches_total",
                "Fetches of peers' actor documents by outcome",
                &["outcome"],
            )?,
        })
    }
}

/// Counts every request, logs refusals once, and lets any page read what is public.
pub(crate) async fn requests(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    // A label must not be a stranger's to choose: routes as they are written here, and the methods that are answered.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none".to_owned(), |path| path.as_str().to_owned());
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    };
    let mut response = next.run(request).await;
    let measures = &app.measures;
    measures
        .requests
        .with_label_values(&[route.as_str(), method, response.status().as_str()])
        .inc();
    measures
        .seconds
        .with_label_values(&[route.as_str()])
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
