//! A request and its answer, on their way through a proxy.

use std::{net::SocketAddr, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, Response, header};
use hyper::body::Incoming;

use super::fault::{Canned, Fault};
use crate::answer;

/// The proxy hangs up on whom it cannot answer.
type Hangup = Box<dyn std::error::Error + Send + Sync>;

pub(super) async fn answer(
    request: Request<Incoming>,
    target: Option<SocketAddr>,
    fault: &Fault,
) -> Result<Response<Body>, Hangup> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), usize::MAX).await?;
    let canned = match fault {
        Fault::All(canned) => Some(canned),
        Fault::Posts(canned) if parts.method == Method::POST => Some(canned),
        _ => None,
    };
    if let Some(Canned { status, header }) = canned {
        let answer = Response::builder().status(*status).header(header.0, &header.1);
        return Ok(answer.body(Body::empty())?);
    }
    let response = forward(parts, body, target.ok_or("nobody is there")?).await?;
    Ok(match fault {
        Fault::Latency(by) => {
            tokio::time::sleep(*by).await;
            response.map(Body::from)
        }
        Fault::Drip(pause) => response.map(|body| drip(body, *pause)),
        _ => response.map(Body::from),
    })
}

async fn forward(
    parts: http::request::Parts,
    body: Bytes,
    to: SocketAddr,
) -> Result<Response<Bytes>, Hangup> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers;
    // Both are this connection's alone.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::CONNECTION);
    let request = answer::client()
        .request(parts.method, format!("http://{to}{path}"))
        .headers(headers)
        .body(body);
    let mut answer = answer::send(request).await?;
    answer.headers.remove(header::TRANSFER_ENCODING);
    answer.headers.remove(header::CONNECTION);
    let mut response = Response::new(answer.body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

fn drip(body: Bytes, pause: Duration) -> Body {
    let bytes = futures::stream::iter(body).then(move |byte| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(&[byte]))
    });
    Body::from_stream(bytes)
}
