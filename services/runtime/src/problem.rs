//! Refusals as RFC 9457 problem documents.

use std::time::Duration;

use crate::code::{Code, Refusal};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;

/// A detail is cut to this many characters: it may quote what a stranger sent.
const MAX_DETAIL: usize = 300;

/// A refusal with the time after which it is worth asking again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub refusal: Refusal,
    pub retry_after: Option<Duration>,
}

/// What the response carries beside its bytes, for the metrics and the log.
#[derive(Debug, Clone)]
pub struct Refused(pub Refusal);

/// The members of a problem document, in the order they are written.
#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl Problem {
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Refusal::new(code, detail).into()
    }

    /// A refusal that ends after a known time.
    #[must_use]
    pub fn after(refusal: Refusal, wait: Duration) -> Self {
        Self {
            refusal,
            retry_after: Some(wait),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let seconds = match refusal.code {
            Code::RateLimited => Some(1),
            Code::FetchFailed | Code::Unavailable => Some(5),
            _ => None,
        };
        Self {
            refusal,
            retry_after: seconds.map(Duration::from_secs),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Refusal { code, detail } = self.refusal;
        let detail = cut(detail);
        let status = code.http();
        let document = Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &detail,
            code: code.as_str(),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
            .extensions_mut()
            .insert(Refused(Refusal { code, detail }));
        response
    }
}

/// `Retry-After` counts whole seconds; a fraction is rounded up, so that waiting so long is enough.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0))
        .max(1)
}

fn cut(mut detail: String) -> String {
    if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
        detail.truncate(end);
        detail.push('…');
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(problem: Problem) -> (Response<()>, String) {
        use http_body_util::BodyExt as _;
        let (parts, body) = problem.into_response().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            Response::from_parts(parts, ()),
            String::from_utf8(bytes.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_refusal_reads_as_rfc_9457_describes() {
        let (response, body) = text(Problem::new(Code::UnknownKey, "the actor has no such key")).await;
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(!response.headers().contains_key("retry-after"));
        assert_eq!(
            body,
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"the actor has no such key","code":"unknown_key"}"#
        );
    }

    #[tokio::test]
    async fn what_passes_says_when() {
        let (response, _) = text(Problem::new(Code::FetchFailed, "x")).await;
        assert_eq!(response.headers()["retry-after"], "5");
        let refusal = Refusal::new(Code::RateLimited, "x");
        let (response, _) = text(Problem::after(refusal, Duration::from_millis(1200))).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (429, &HeaderValue::from(2))
        );
    }

    #[tokio::test]
    async fn a_quoted_key_of_a_megabyte_is_cut() {
        let (_, body) = text(Problem::new(Code::Malformed, "é".repeat(1 << 20))).await;
        assert!(body.len() < 1000, "{} bytes", body.len());
    }
}
