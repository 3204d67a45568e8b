//! `GET /healthz`, `GET /readyz`, `GET /metrics`: for those who run the domain.

use std::{collections::BTreeMap, time::Duration};

use axum::{extract::State, response::Response};
use fedsx_runtime::code::{Code, Refusal};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::{
    App,
    media::{self, Keep},
    problem::Problem,
};

/// A service that has not answered a probe within this time is not reachable.
const PROBE: Duration = Duration::from_secs(2);

/// `GET /healthz`: the process answers.
pub(crate) async fn live() -> Response {
    media::json(StatusCode::OK, Keep::Never, &json!({ "live": true }))
}

/// `GET /readyz`: the process has what it needs, or 503 with what it lacks.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let (log, projection) = tokio::join!(probe(app.log.head()), probe(app.views.reachable()));
    let mut lacking: BTreeMap<&str, String> = app.context.readiness.lacking();
    for (service, answer) in [("log", log), ("projection", projection)] {
        if let Err(cause) = answer {
            lacking.insert(service, cause);
        }
    }
    let status = if lacking.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    media::json(
        status,
        Keep::Never,
        &json!({ "ready": lacking.is_empty(), "lacking": lacking }),
    )
}

async fn probe<T>(call: impl Future<Output = Result<T, Refusal>>) -> Result<(), String> {
    match tokio::time::timeout(PROBE, call).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(refusal.detail),
        Err(_) => Err(format!("no answer within {} s", PROBE.as_secs())),
    }
}

/// `GET /metrics`: Prometheus' text format.
pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let text = app.context.metrics.render().map_err(|error| {
        tracing::error!(%error, "the metrics cannot be rendered");
        Problem::new(Code::Internal, "the metrics cannot be rendered")
    })?;
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(media::typed(content_type, Keep::Never, text))
}
