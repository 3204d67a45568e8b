//! The projection as JSON over HTTP, for people and programs that speak no gRPC: [`views`] to read, [`flows`] to read and to
//! move.
//!
//! Limits and errors are those of the RPCs; an error is a problem document (RFC 9457).

mod flows;
mod views;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, rejection::QueryRejection},
};
use fedsx_runtime::{code::Code, problem::Problem};
use serde_json::Value;

use crate::{flows::service::FlowService, query::ProjectionService};

type Answer = Result<Json<Value>, Problem>;
type Asked<T> = Result<Query<T>, QueryRejection>;

/// Every route. Who asks has been let in by a guard that tells the role.
pub(crate) fn router(views: Arc<ProjectionService>, flows: FlowService) -> Router {
    views::router(views).merge(flows::router(flows))
}

fn sound<T>(asked: Asked<T>) -> Result<T, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::new(Code::Malformed, error.body_text()))?;
    Ok(asked)
}
