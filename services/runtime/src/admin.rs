//! The internal HTTP listener of every process: `/livez`, `/readyz`, `/startupz` and `/metrics`, for those who run it.
//!
//! Not for peers: causes and metrics name hosts. Bind it where only probes and Prometheus reach it.

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::Context;

/// The routes over a process's readiness and metrics.
pub fn router(context: &Context) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/startupz", get(startup))
        .route("/metrics", get(metrics))
        .with_state(context.clone())
}

/// The process answers.
async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// The process has what it needs, or 503 with what it lacks.
async fn ready(State(context): State<Context>) -> impl IntoResponse {
    let lacking = context.readiness.lacking();
    let body = json!({ "ready": lacking.is_empty(), "lacking": lacking });
    (status(lacking.is_empty()), Json(body))
}

/// The process has been ready once, or 503 with what it still lacks.
async fn startup(State(context): State<Context>) -> impl IntoResponse {
    let started = context.readiness.was_ready();
    let body = json!({ "started": started, "lacking": context.readiness.lacking() });
    (status(started), Json(body))
}

/// Prometheus' text format.
async fn metrics(State(context): State<Context>) -> impl IntoResponse {
    match context.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn status(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
