//! The guarded client: the only way out of a domain, for fetches and for deliveries.
//!
//! Every address is checked after DNS resolution: private, loopback and link-local ones are refused, and so is plain
//! http, except for the peers that the configuration lists. Those that it says are inside the cluster are reached there,
//! whatever the DNS says ([`resolve`], [`inside`]). Size, time and redirects are bounded.

mod address;
mod inside;
mod policy;
mod resolve;
mod resolver;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use inside::Inside;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, redirect};
use url::Url;

pub use policy::{Policy, PolicyError};
pub use resolve::ResolveError;

use crate::tls::TlsError;

/// Time for a whole exchange.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Time to connect, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for a document, redirects included.
pub const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// A fetched document is at most this large. Bytes.
pub const MAX_DOCUMENT: usize = 1 << 20;
/// What is kept of the answer to a delivery, for its cause. Bytes.
const MAX_ANSWER: usize = 4 << 10;
/// Connections to one peer that are kept for the next request: as many as delivery sends at the same time, or half of them
/// would be made anew each time.
const IDLE_PER_HOST: usize = 32;
/// Redirects that a GET follows.
const MAX_REDIRECTS: usize = 3;

/// Why there is no answer, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The guard does not let us go there; trying again changes nothing.
    #[error("{0}")]
    Forbidden(#[from] PolicyError),
    /// No connection, no answer in time, or an answer cut short.
    #[error("{0}")]
    Unreachable(String),
    /// An answer other than success.
    #[error("it answered {0}")]
    Status(u16),
    /// More than this many bytes.
    #[error("its answer has more than {0} bytes")]
    TooLarge(usize),
    #[error("it redirected more than {MAX_REDIRECTS} times, or to nowhere")]
    Redirects,
}

/// There is no client.
#[derive(Debug, thiserror::Error)]
pub enum FetcherError {
    #[error("the authority that vouches for {host} inside the cluster (`resolve`)")]
    Authority {
        host: String,
        #[source]
        source: TlsError,
    },
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
}

/// A document that a GET brought.
#[derive(Debug, Clone)]
pub struct Document {
    /// Where it came from at last, after redirects.
    pub url: String,
    pub content_type: String,
    pub body: Bytes,
}

/// The answer to a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Seconds or an HTTP date, as it was sent.
    pub retry_after: Option<String>,
    /// The beginning of the body, at most 4 KiB.
    pub body: Bytes,
}

/// Makes ring what every TLS connection of the process is secured by, unless the process has chosen another.
pub fn choose_tls_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The guarded client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
    inside: Arc<Inside>,
    policy: Arc<Policy>,
}

/// What every client has in common.
fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("fed-sx/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Also where another crate of the process has HTTP/2 built in.
        .http1_only()
        // A proxy would resolve names itself, past the guard.
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST)
}

impl Fetcher {
    /// A client under a policy.
    ///
    /// # Errors
    /// Where the TLS roots of this machine, or the authority of a peer inside the cluster, cannot be read.
    pub fn new(policy: Policy) -> Result<Self, FetcherError> {
        choose_tls_provider();
        let policy = Arc::new(policy);
        let guarded = resolver::GuardedResolver::new(policy.clone());
        Ok(Self {
            client: builder().dns_resolver(Arc::new(guarded)).build()?,
            inside: Arc::new(Inside::new(policy.inside())?),
            policy,
        })
    }

    /// The rules that this client keeps.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Fetches a document of at most [`MAX_DOCUMENT`] bytes.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn get(&self, url: &str, accept: &str) -> Result<Document, FetchError> {
        self.get_within(url, accept, MAX_DOCUMENT).await
    }

    /// Fetches a document of at most so many bytes.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn get_within(&self, url: &str, accept: &str, bytes: usize) -> Result<Document, FetchError> {
        tokio::time::timeout(DOCUMENT_TIMEOUT, self.follow(url, accept, bytes))
            .await
            .unwrap_or_else(|_| Err(FetchError::Unreachable("no answer in time".to_owned())))
    }

    async fn follow(&self, url: &str, accept: &str, bytes: usize) -> Result<Document, FetchError> {
        let mut url = self.policy.check(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .request(&Method::GET, &url)
                .header("accept", accept)
                .send()
                .await
                .map_err(|error| unreachable(&error))?;
            let status = response.status();
            if status.is_redirection() {
                let target = redirect_target(&url, &response).ok_or(FetchError::Redirects)?;
                url = self.policy.check(target.as_str())?;
                continue;
            }
            if !status.is_success() {
                return Err(FetchError::Status(status.as_u16()));
            }
            let content_type = header(&response, "content-type").unwrap_or_default();
            let body = read(response, bytes).await?.ok_or(FetchError::TooLarge(bytes))?;
            return Ok(Document {
                url: url.into(),
                content_type,
                body,
            });
        }
        Err(FetchError::Redirects)
    }

    /// Posts a body; redirects are not followed. Any answer is an [`Answer`].
    ///
    /// # Errors
    /// [`FetchError::Forbidden`] and [`FetchError::Unreachable`]
    pub async fn post(&self, url: &str, headers: http::HeaderMap, body: Bytes) -> Result<Answer, FetchError> {
        let url = self.policy.check(url)?;
        let response = self
            .request(&Method::POST, &url)
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        let retry_after = header(&response, "retry-after");
        // The status is the answer; a body that is cut short or too long takes nothing from it.
        let body = read(response, MAX_ANSWER)
            .await
            .ok()
            .flatten()
            .unwrap_or_default();
        Ok(Answer {
            status,
            retry_after,
            body,
        })
    }
}

impl Fetcher {
    /// A request to a URL that the policy has let pass.
    fn request(&self, method: &Method, url: &Url) -> RequestBuilder {
        self.inside
            .request(method, url)
            .unwrap_or_else(|| self.client.request(method.clone(), url.clone()))
    }
}

fn header(response: &Response, name: &str) -> Option<String> {
    response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

/// Relative to the URL that was asked for, which is not the one that a peer inside the cluster was sent.
fn redirect_target(asked: &Url, response: &Response) -> Option<Url> {
    asked.join(&header(response, "location")?).ok()
}

/// The body, or none where it is larger than the limit.
async fn read(mut response: Response, limit: usize) -> Result<Option<Bytes>, FetchError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

/// The innermost cause, which is the one a reader can act on: `Connection refused (os error 111)`.
fn unreachable(error: &reqwest::Error) -> FetchError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        if let Some(refused) = source.downcast_ref::<PolicyError>() {
            return FetchError::Forbidden(refused.clone());
        }
        cause = source;
    }
    FetchError::Unreachable(if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        cause.to_string()
    })
}
