//! HTTP as the scenarios see it.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// An HTTP answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Panics unless it is a problem document (RFC 9457) with this status and code.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let told = (self.status.as_u16(), problem["code"].as_str().unwrap_or_default());
        assert_eq!(told, (status, code), "{self}");
        assert_eq!(self.content_type(), "application/problem+json", "{self}");
        assert_eq!(problem["status"], status, "{self}");
    }

    /// Panics unless it has this status.
    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{self}");
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The media type without its parameters.
    pub fn content_type(&self) -> &str {
        let value = self
            .headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().split(';').next().unwrap_or_default()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

/// GETs a URL as peers do.
pub async fn get(url: &str) -> Answer {
    get_as(url, "application/activity+json").await
}

/// GETs a URL as this media type.
pub async fn get_as(url: &str, accept: &str) -> Answer {
    let request = client().get(url).header("accept", accept);
    send(request)
        .await
        .unwrap_or_else(|error| panic!("GET {url}: {error:?}"))
}

/// GETs a URL, or POSTs a document to it; with a bearer token where there is one.
pub async fn ask(url: &str, token: Option<&str>, document: Option<&Value>) -> Answer {
    let request = match document {
        None => client().get(url),
        Some(document) => client().post(url).body(document.to_string()),
    };
    let request = match token {
        None => request,
        Some(token) => request.bearer_auth(token),
    };
    let answer = send(request).await;
    answer.unwrap_or_else(|error| panic!("{url}: {error:?}"))
}

/// Sends a request and reads its answer.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    Ok(Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.bytes().await?,
    })
}

/// A client that follows no redirect. Each test has a runtime of its own, and a client's connections live in the runtime
/// that made them: so there is one for each call.
pub(crate) fn client() -> reqwest::Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(120))
        .build()
        .expect("an HTTP client")
}
