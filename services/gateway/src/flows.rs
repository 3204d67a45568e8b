//! `/flows`, as [`fedsx_proto::flows`] has it: how what this domain does on activities goes.
//!
//! Everybody may see the flows of public activities in outline. Who shows a role's token sees all of them whole, and may move
//! them: the token is passed on, and the projection decides what it is good for.

mod upstream;

use axum::{
    body::Body,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    response::Response,
};
use fedsx_kernel::json;
use fedsx_proto::{
    flows::{self, Cancel, MAX_BODY, NothingAsked, PageAsked, Resume, Retry, Start},
    v1::{ListFlowsRequest, StartFlowRequest},
};
use fedsx_runtime::code::{Code, Refusal};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    App,
    limit::Client,
    media::{self, Keep},
    problem::Problem,
};
pub(crate) use upstream::Flows;

/// Most flows of a page that everybody may see.
const PUBLIC_PAGE: u32 = 100;

type Answer = Result<Response, Problem>;
type Asked<T> = Result<Query<T>, QueryRejection>;

/// `GET /flows`
pub(crate) async fn page(State(app): State<App>, headers: HeaderMap, asked: Asked<PageAsked>) -> Answer {
    let asked = ListFlowsRequest::from(sound(asked)?);
    let Some(token) = token(&headers) else {
        let asked = ListFlowsRequest {
            public_only: true,
            limit: asked.limit.min(PUBLIC_PAGE),
            ..asked
        };
        let page = app.flows.page(asked).await?;
        return Ok(public(&flows::page(&page.flows, &page.next, flows::outline)));
    };
    let page = app.flows.page_for(token, asked).await?;
    Ok(private(
        StatusCode::OK,
        &flows::page(&page.flows, &page.next, flows::flow),
    ))
}

/// `GET /flows/{id}`: one that is not public is, without a token, one that is not there.
pub(crate) async fn one(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<String>,
    asked: Asked<NothingAsked>,
) -> Answer {
    sound(asked)?;
    if let Some(token) = token(&headers) {
        let whole = app.flows.whole_for(token, id).await?;
        return Ok(private(StatusCode::OK, &flows::whole(&whole)));
    }
    let unknown = || Refusal::new(Code::NotFound, "there is no such flow here");
    let flow = match app.flows.brief(id).await {
        Ok(flow) => flow.filter(|flow| flow.public).ok_or_else(unknown)?,
        Err(refusal) if refusal.code == Code::NotFound => return Err(unknown().into()),
        Err(refusal) => return Err(refusal.into()),
    };
    Ok(public(&flows::outline(&flow)))
}

/// `GET /behaviours`
pub(crate) async fn behaviours(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked<NothingAsked>,
) -> Answer {
    sound(asked)?;
    let told = app.flows.behaviours_for(needed(&headers)?).await?;
    Ok(private(StatusCode::OK, &flows::behaviours(&told)))
}

/// `POST /flows`
pub(crate) async fn start(State(app): State<App>, request: Request) -> Answer {
    let (token, asked) = asked::<Start>(&app, request).await?;
    let moved = app.flows.start(&token, StartFlowRequest::from(asked)).await?;
    let status = if moved.existed {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(private(status, &flows::moved(&moved)))
}

/// `POST /flows/{id}/resume`
pub(crate) async fn resume(State(app): State<App>, Path(id): Path<String>, request: Request) -> Answer {
    let (token, asked) = asked::<Resume>(&app, request).await?;
    let moved = app.flows.resume(&token, asked.of(id)).await?;
    Ok(private(StatusCode::OK, &flows::moved(&moved)))
}

/// `POST /flows/{id}/retry`
pub(crate) async fn retry(State(app): State<App>, Path(id): Path<String>, request: Request) -> Answer {
    let (token, asked) = asked::<Retry>(&app, request).await?;
    let moved = app.flows.retry(&token, asked.of(id)).await?;
    Ok(private(StatusCode::OK, &flows::moved(&moved)))
}

/// `POST /flows/{id}/cancel`
pub(crate) async fn cancel(State(app): State<App>, Path(id): Path<String>, request: Request) -> Answer {
    let (token, asked) = asked::<Cancel>(&app, request).await?;
    let moved = app.flows.cancel(&token, asked.of(id)).await?;
    Ok(private(StatusCode::OK, &flows::moved(&moved)))
}

fn sound<T>(asked: Asked<T>) -> Result<T, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::new(Code::Malformed, error.body_text()))?;
    Ok(asked)
}

/// The `Authorization` header, whatever it says; none: a stranger.
fn token(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(header::AUTHORIZATION)
}

fn needed(headers: &HeaderMap) -> Result<&HeaderValue, Refusal> {
    let detail = "a role's token is needed: `Authorization: Bearer …`";
    token(headers).ok_or_else(|| Refusal::new(Code::Unauthenticated, detail))
}

/// The token of a request that moves a flow, and its body.
async fn asked<T: DeserializeOwned>(app: &App, request: Request) -> Result<(HeaderValue, T), Problem> {
    let token = needed(request.headers())?.clone();
    let client = Client::of(request.extensions());
    let timeout = app.settings.body_timeout;
    let mut share = app.bodies.share(client.0);
    share.grow(MAX_BODY)?;
    let Ok(body) = tokio::time::timeout(timeout, collect(request.into_body())).await else {
        let detail = format!("the body did not arrive within {} s", timeout.as_secs());
        return Err(Problem::new(Code::RequestTimeout, detail));
    };
    let body = body?;
    share.grow(json::footprint(&body))?;
    let malformed = |error: String| Problem::new(Code::Malformed, error);
    let body = (!body.is_empty()).then(|| json::parse(&body)).transpose();
    let body = body.map_err(|error| malformed(error.to_string()))?;
    let asked = flows::read(body).map_err(|error| malformed(error.to_string()))?;
    Ok((token, asked))
}

async fn collect(body: Body) -> Result<bytes::Bytes, Refusal> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("the body has more than {MAX_BODY} bytes");
            Err(Refusal::new(Code::TooLarge, detail))
        }
        Err(_) => Err(Refusal::new(Code::Malformed, "the body broke off")),
    }
}

fn public(document: &Value) -> Response {
    let mut response = media::json(StatusCode::OK, Keep::Never, document);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
    response
}

fn private(status: StatusCode, document: &Value) -> Response {
    media::json(status, Keep::Private, document)
}
