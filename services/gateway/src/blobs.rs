//! `GET /blobs/{cid}`: the bytes that a public object of this domain names.
//!
//! Who wrote them may be hostile: no browser is to take them for a page of this origin, and no reader that takes them slowly
//! is to keep others from theirs.

mod named;
mod range;

use std::ops::Range;

use axum::{
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use fedsx_kernel::blob::{BlobCid, MediaType};
use fedsx_runtime::code::{Code, Refusal};
use futures::stream;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, response::Builder};

use crate::{
    App,
    inbox::budget::Share,
    limit::Client,
    media::{self, Keep},
    problem::Problem,
};
use range::{Asked, asked};

/// What a reader that takes nothing holds in memory. Bytes.
const PART: u64 = 256 << 10;

pub(crate) async fn blob(
    State(app): State<App>,
    cid: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let cid: BlobCid = cid
        .ok()
        .and_then(|Path(cid)| cid.parse().ok())
        .ok_or_else(unknown)?;
    let media_type = named::media_type(&app, &cid).await?.ok_or_else(unknown)?;
    let size = app.log.blob_size(&cid).await?.ok_or_else(unknown)?;
    let (tag, headers) = (format!("\"{cid}\""), request.headers());
    let answer = head(&media_type, &tag);
    if media::is_held(headers, &tag) {
        return finished(answer.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    let range = match wanted(headers, &tag, size) {
        Asked::Whole => 0..size,
        Asked::Part(range) => range,
        Asked::Nothing => return Ok(unsatisfiable(size)),
    };
    let mut answer = answer.header(header::CONTENT_LENGTH, range.end.saturating_sub(range.start));
    if range != (0..size) {
        let last = range.end.saturating_sub(1);
        answer = answer.status(StatusCode::PARTIAL_CONTENT).header(
            header::CONTENT_RANGE,
            format!("bytes {}-{last}/{size}", range.start),
        );
    }
    let body = match *request.method() {
        Method::HEAD => Body::empty(),
        _ => body(&app, cid, range, Client::of(request.extensions())).await?,
    };
    finished(answer, body)
}

/// What every answer says of the blob.
fn head(media_type: &MediaType, tag: &str) -> Builder {
    let answer = Response::builder()
        .header(header::CONTENT_TYPE, media_type.as_str())
        .header(header::ETAG, tag)
        .header(header::CACHE_CONTROL, Keep::Forever.header())
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    match media_type.is_inert() {
        true => answer,
        false => answer.header(header::CONTENT_DISPOSITION, "attachment"),
    }
}

fn finished(answer: Builder, body: Body) -> Result<Response, Problem> {
    answer.body(body).map_err(|error| {
        tracing::error!(%error, "the answer to a request for a blob cannot be made");
        Problem::new(Code::Internal, "the blob cannot be shown")
    })
}

/// What is asked for; a `Range` counts only for the bytes that `If-Range` names (RFC 9110, section 13.1.5).
fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Asked {
    let is_meant = headers.get(header::IF_RANGE).is_none_or(|held| held == tag);
    match headers.get(header::RANGE).filter(|_| is_meant) {
        Some(range) => asked(range.to_str().unwrap_or_default(), size),
        None => Asked::Whole,
    }
}

fn unsatisfiable(size: u64) -> Response {
    let detail = format!("the blob has {size} bytes, and none where they are asked for");
    let mut response = Problem::new(Code::RangeNotSatisfiable, detail).into_response();
    if let Ok(range) = HeaderValue::try_from(format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

/// The bytes, a part at a time as the reader takes them. The first is read at once: what is damaged is refused.
async fn body(app: &App, cid: BlobCid, range: Range<u64>, client: Client) -> Result<Body, Problem> {
    if range.is_empty() {
        return Ok(Body::empty());
    }
    let mut share = app.blobs.share(client.0);
    share.grow(usize::try_from(PART).unwrap_or(usize::MAX))?;
    let mut reader = Reader {
        app: app.clone(),
        cid,
        range,
        _share: share,
    };
    let first = reader.next().await?;
    let rest = stream::try_unfold((Some(first), reader), |(first, mut reader)| async move {
        let part = match first {
            Some(part) => part,
            None if reader.range.is_empty() => return Ok(None),
            None => reader.next().await?,
        };
        Ok::<_, Refusal>(Some((part, (None, reader))))
    });
    Ok(Body::from_stream(rest))
}

/// What a reader has not been given yet, and its place in memory.
struct Reader {
    app: App,
    cid: BlobCid,
    range: Range<u64>,
    _share: Share,
}

impl Reader {
    async fn next(&mut self) -> Result<Bytes, Refusal> {
        let from = self.range.start;
        let length = PART.min(self.range.end.saturating_sub(from));
        let part = self.app.log.blob_part(&self.cid, from, length).await?;
        if u64::try_from(part.len()) != Ok(length) {
            tracing::error!(cid = %self.cid, from, length, read = part.len(), "the log shows another part of a blob");
            return Err(Refusal::new(Code::Internal, "the blob cannot be shown"));
        }
        self.range.start = from.saturating_add(length);
        Ok(part)
    }
}

/// The same for what there is not and for what no public object names.
fn unknown() -> Problem {
    Refusal::new(Code::NotFound, "there is no such blob here").into()
}
