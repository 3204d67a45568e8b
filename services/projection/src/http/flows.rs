//! Flows, as [`fedsx_proto::flows`] has them.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequestParts, Path, State, rejection::BytesRejection},
    http::{StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use fedsx_kernel::json;
use fedsx_proto::flows::{self, Cancel, MAX_BODY, NothingAsked, PageAsked, Resume, Retry, Start};
use fedsx_runtime::{code::Code, problem::Problem, token};
use serde::de::DeserializeOwned;

use super::{Answer, Asked, sound};
use crate::flows::{
    authority::{Wish, admit},
    service::FlowService,
};

type Body = Result<Bytes, BytesRejection>;

pub(super) fn router(service: FlowService) -> Router {
    Router::new()
        .route("/flows", get(page).post(start))
        .route("/flows/{id}", get(one))
        .route("/flows/{id}/resume", post(resume))
        .route("/flows/{id}/retry", post(retry))
        .route("/flows/{id}/cancel", post(cancel))
        .route("/behaviours", get(behaviours))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(service)
}

/// The caller may read flows.
struct Reader;
/// The caller may move flows.
struct Mover;

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        admit(token::role_of(&parts.extensions)?, Wish::Read)?;
        Ok(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Mover {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        admit(token::role_of(&parts.extensions)?, Wish::Move)?;
        Ok(Self)
    }
}

async fn page(_: Reader, State(service): State<FlowService>, asked: Asked<PageAsked>) -> Answer {
    let page = service.list(sound(asked)?.into()).await?;
    Ok(Json(flows::page(&page.flows, &page.next, flows::flow)))
}

async fn one(
    _: Reader,
    State(service): State<FlowService>,
    Path(id): Path<String>,
    asked: Asked<NothingAsked>,
) -> Answer {
    sound(asked)?;
    Ok(Json(flows::whole(&service.get(&id, false).await?)))
}

async fn behaviours(_: Reader, State(service): State<FlowService>, asked: Asked<NothingAsked>) -> Answer {
    sound(asked)?;
    Ok(Json(flows::behaviours(&service.behaviours().await?)))
}

async fn start(_: Mover, State(service): State<FlowService>, body: Body) -> Result<Response, Problem> {
    let moved = service.start(read::<Start>(body)?.into()).await?;
    let status = if moved.existed {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(flows::moved(&moved))).into_response())
}

async fn resume(_: Mover, State(service): State<FlowService>, Path(id): Path<String>, body: Body) -> Answer {
    let moved = service.resume(read::<Resume>(body)?.of(id)).await?;
    Ok(Json(flows::moved(&moved)))
}

async fn retry(_: Mover, State(service): State<FlowService>, Path(id): Path<String>, body: Body) -> Answer {
    let moved = service.retry(read::<Retry>(body)?.of(id)).await?;
    Ok(Json(flows::moved(&moved)))
}

async fn cancel(_: Mover, State(service): State<FlowService>, Path(id): Path<String>, body: Body) -> Answer {
    let moved = service.cancel(read::<Cancel>(body)?.of(id)).await?;
    Ok(Json(flows::moved(&moved)))
}

fn read<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let body = body.map_err(|error| {
        let code = match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
            _ => Code::Malformed,
        };
        Problem::new(code, error.body_text())
    })?;
    let malformed = |error: String| Problem::new(Code::Malformed, error);
    let body = (!body.is_empty()).then(|| json::parse(&body)).transpose();
    let body = body.map_err(|error| malformed(error.to_string()))?;
    flows::read(body).map_err(|error| malformed(error.to_string()))
}
