//! `GET /types/{cid}`: a type that was defined here, or a peer's that is kept. Serving never fetches.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use fedsx_kernel::cid::Cid;
use fedsx_proto::v1::KnownType;
use fedsx_runtime::code::{Code, Refusal};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    App,
    media::{self, Keep, Media},
    problem::Problem,
};

/// A reader that does not mind gets what people can read.
const OFFERS: [Media; 2] = [Media::Json, Media::TypeDoc];

pub(crate) async fn type_record(
    State(app): State<App>,
    cid: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cid: Cid = cid
        .ok()
        .and_then(|Path(cid)| cid.parse().ok())
        .ok_or_else(unknown)?;
    let known = app.log.type_record(&cid).await?.ok_or_else(unknown)?;
    let media = media::preferred(&headers, &OFFERS);
    // Each representation has its own tag, and never changes.
    let tag = match media {
        Media::TypeDoc => format!("\"{cid}\""),
        _ => format!("\"{cid}-json\""),
    };
    let mut response = if media::is_held(&headers, &tag) {
        let mut response = media::answer(media, Keep::Forever, "");
        response.headers_mut().remove(header::CONTENT_TYPE);
        (StatusCode::NOT_MODIFIED, response).into_response()
    } else if media == Media::TypeDoc {
        media::answer(media, Keep::Forever, known.body)
    } else {
        media::answer(media, Keep::Forever, rendering(&app, &cid, &known)?)
    };
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The record as people read it, with its names.
fn rendering(app: &App, cid: &Cid, known: &KnownType) -> Result<String, Refusal> {
    let record: Value = serde_json::from_slice(&known.body).map_err(|error| unreadable(&error))?;
    let rendering = json!({
        "id": app.settings.origin.type_record(cid),
        "typeCid": cid,
        "record": record,
    });
    serde_json::to_string_pretty(&rendering).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    tracing::error!(%error, "the log has shown a type that is no JSON");
    Refusal::new(Code::Internal, "the type could not be read")
}

fn unknown() -> Problem {
    Refusal::new(Code::NotFound, "there is no such type here").into()
}
