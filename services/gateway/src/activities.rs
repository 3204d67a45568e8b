//! `GET /activities`: everything public that this domain knows; `GET /activities/{cid}`: one activity, as the bytes
//! that were signed.

mod reader;

use axum::{
    extract::{Path, RawQuery, Request, State, rejection::PathRejection},
    response::Response,
};
use fedsx_kernel::cid::Cid;
use fedsx_runtime::code::{Code, Refusal};
use http::{HeaderMap, HeaderValue, header};

use crate::{
    App,
    collections::{Ask, entries::Entries},
    media::{self, Keep, Media},
    problem::Problem,
    signed_request::SignedRequest,
};

/// `GET /activities`
pub(crate) async fn all(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ask = Ask::parse(query.as_deref())?;
    let entries = Entries {
        id: format!("{}/activities", app.settings.origin),
        stream: String::new(),
        shows_items: true,
    };
    entries.answer(&app, ask, &headers).await
}

/// `GET /activities/{cid}`: a public one is anyone's; another answers 404 without a signed GET by an addressee.
pub(crate) async fn one(
    State(app): State<App>,
    cid: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let cid: Cid = cid
        .ok()
        .and_then(|Path(cid)| cid.parse().ok())
        .ok_or_else(unknown)?;
    let entry = app.log.by_cid(&cid).await?.ok_or_else(unknown)?;
    let media = media::preferred(request.headers(), &Media::DOCUMENT);
    if entry.public {
        return Ok(media::answer(media, Keep::Forever, entry.body));
    }
    let (parts, _) = request.into_parts();
    let signed = SignedRequest::new(&app.settings.origin, parts);
    if !reader::may_read(&app, &signed, &entry).await? {
        return Err(unknown());
    }
    let mut response = media::answer(media, Keep::Private, entry.body);
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("Signature"));
    Ok(response)
}

/// The same for what there is not and for what is not the reader's to see.
fn unknown() -> Problem {
    Refusal::new(Code::NotFound, "there is no such activity here").into()
}
