//! Calls spread over a service's replicas.
//!
//! Host names are resolved again and again, since replicas come and go; each address has one HTTP/2 connection, and calls
//! take turns. A call that provably reached nobody goes to the next replica; one that may have been seen is answered with
//! the failure, since only its caller knows whether it may be repeated.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri, request};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::Notify;
use tonic::{Status, body::Body, transport::Endpoint};

use super::{
    ClientTls, Streamed,
    member::{Member, Reply},
};
use crate::tls::TlsError;

/// How often names are resolved; sooner where a replica did not answer.
const RESOLVE: Duration = Duration::from_secs(5);
/// At the soonest.
const RESOLVE_AT_SOONEST: Duration = Duration::from_millis(500);

/// A service's replicas.
pub struct Replicas(Arc<Known>);

struct Known {
    urls: Vec<Target>,
    tls: Option<ClientTls>,
    members: RwLock<Members>,
    next: AtomicUsize,
    /// A replica did not answer, or none is known.
    stale: Notify,
}

/// Ordered by address.
type Members = Arc<[Arc<Member>]>;

/// A URL that names replicas.
#[derive(Debug, Clone)]
struct Target {
    uri: Uri,
    host: String,
    port: u16,
}

/// No way to a service can be made of what was configured.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    #[error("{0:?} is not the URL of a service, such as http://log:9000")]
    Url(String),
    #[error("{0} needs `tls_ca`, the authority that its certificate is trusted by")]
    Authority(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Replicas {
    /// The replicas behind these URLs: each host stands for all of its addresses. Resolves in a task of its own, which ends
    /// with the value.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn new(urls: &[String], tls: Option<ClientTls>) -> Result<Self, ChannelError> {
        let urls: Vec<_> = urls
            .iter()
            .map(|url| Target::parse(url))
            .collect::<Result<_, _>>()?;
        if let Some(target) = urls.iter().find(|target| target.is_https() && tls.is_none()) {
            return Err(ChannelError::Authority(target.uri.to_string()));
        }
        let known = Arc::new(Known {
            urls,
            tls,
            members: RwLock::new(Arc::new([])),
            next: AtomicUsize::new(0),
            stale: Notify::new(),
        });
        tokio::spawn(resolve(Arc::downgrade(&known)));
        Ok(Self(known))
    }

    pub(super) async fn call(&self, request: Request<Body>) -> Result<Response<Body>, tower::BoxError> {
        if request.extensions().get::<Streamed>().is_some() {
            return self.call_once(request).await;
        }
        let (parts, body) = request.into_parts();
        // One message: it can be sent again.
        let body = body.collect().await?.to_bytes();
        let mut last = None;
        for member in self.0.in_turn().await {
            match member.call(again(&parts, &body)).await {
                Reply::Answered(response) => return Ok(response),
                Reply::NotSent(error) => {
                    self.0.stale.notify_one();
                    last = Some(error);
                }
                Reply::Lost(error) => {
                    self.0.stale.notify_one();
                    return Err(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| self.nowhere()))
    }

    /// Sends a request that cannot be sent again.
    async fn call_once(&self, request: Request<Body>) -> Result<Response<Body>, tower::BoxError> {
        let members = self.0.in_turn().await;
        let Some(member) = members.first() else {
            return Err(self.nowhere());
        };
        match member.call(request).await {
            Reply::Answered(response) => Ok(response),
            Reply::NotSent(error) | Reply::Lost(error) => {
                self.0.stale.notify_one();
                Err(error)
            }
        }
    }

    fn nowhere(&self) -> tower::BoxError {
        Status::unavailable(format!("{self:?} has no address")).into()
    }
}

fn again(parts: &request::Parts, body: &Bytes) -> Request<Body> {
    Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())))
}

impl Known {
    /// The members from the next in turn on; those that failed a moment ago come last.
    async fn in_turn(&self) -> Vec<Arc<Member>> {
        let mut members = self.members();
        if members.is_empty() {
            // The first call may be sooner than the first resolution.
            members = self.look_up().await;
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut turn: Vec<_> = (0..members.len())
            .map(|offset| members[(first.wrapping_add(offset)) % members.len()].clone())
            .collect();
        // Asked once of each: the answer may change while they are compared.
        turn.sort_by_cached_key(|member| member.is_shunned());
        turn
    }

    fn members(&self) -> Members {
        self.members
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Resolves every name; one that cannot be resolved keeps the addresses that are known.
    async fn look_up(&self) -> Members {
        let mut found = BTreeMap::new();
        let mut complete = true;
        for target in &self.urls {
            match tokio::net::lookup_host((target.host.as_str(), target.port)).await {
                Ok(addresses) => found.extend(addresses.map(|address| (address, target))),
                Err(error) => {
                    tracing::debug!(%error, service = %target.uri, "a service's name is not resolved");
                    complete = false;
                }
            }
        }
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        let mut next: BTreeMap<SocketAddr, Arc<Member>> = members
            .iter()
            .filter(|member| !complete || found.contains_key(&member.address))
            .map(|member| (member.address, member.clone()))
            .collect();
        for (address, target) in found {
            if let std::collections::btree_map::Entry::Vacant(place) = next.entry(address)
                && let Some(endpoint) = target.endpoint(address, self.tls.as_ref())
            {
                place.insert(Arc::new(Member::new(address, &endpoint)));
            }
        }
        *members = next.into_values().collect();
        members.clone()
    }
}

async fn resolve(known: Weak<Known>) {
    while let Some(strong) = known.upgrade() {
        strong.look_up().await;
        let stale = {
            let waiting = strong.clone();
            async move { waiting.stale.notified().await }
        };
        drop(strong);
        // Holding on to the value while waiting would keep it for ever, so the wait is bounded.
        tokio::time::sleep(RESOLVE_AT_SOONEST).await;
        let _ = tokio::time::timeout(RESOLVE - RESOLVE_AT_SOONEST, stale).await;
    }
}

impl Target {
    fn parse(url: &str) -> Result<Self, ChannelError> {
        let unusable = || ChannelError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| unusable())?;
        let port = match (uri.scheme_str(), uri.port_u16()) {
            (Some("http" | "https"), Some(port)) => port,
            (Some("http"), None) => 80,
            (Some("https"), None) => 443,
            _ => return Err(unusable()),
        };
        let host = uri.host().ok_or_else(unusable)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Self { uri, host, port })
    }

    fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    fn endpoint(&self, address: SocketAddr, tls: Option<&ClientTls>) -> Option<Endpoint> {
        let scheme = if self.is_https() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .ok()?
            .origin(self.uri.clone());
        match tls.filter(|_| self.is_https()) {
            None => Some(endpoint),
            Some(tls) => endpoint
                .tls_config(tls.of(&self.host))
                .inspect_err(|error| tracing::error!(%error, "TLS to {}", self.uri))
                .ok(),
        }
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.0.urls.iter().map(|target| target.uri.to_string()).collect();
        f.write_str(&urls.join(", "))
    }
}
