//! How services reach each other: over TCP, or in one process over memory, with the same servers and clients.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{body::Body, service::interceptor::InterceptedService};
use tower::{Service, ServiceExt as _};

use crate::token::Credentials;

mod member;
mod memory;
mod replicas;
mod tls;

pub use memory::{Incoming, Memory, memory};
pub use replicas::{ChannelError, Replicas};
pub use tls::ClientTls;

/// Largest gRPC message either way: a page of 16 activities at their limit. Bytes.
pub const MAX_MESSAGE: usize = 64 << 20;

/// A channel that carries a role's token.
pub type Authorised = InterceptedService<Channel, Credentials>;

/// The extension of a request whose messages stream: it is not held in memory to be sent again, and so goes to one replica
/// alone. Its caller repeats it where it fails.
#[derive(Debug, Clone, Copy)]
pub struct Streamed;

/// The way to a service, however many replicas it has. Cheap to clone.
#[derive(Clone)]
pub struct Channel(Way);

#[derive(Clone)]
enum Way {
    /// One connection, which connects at the first call and again when the server came back.
    One(tonic::transport::Channel),
    Many(Arc<Replicas>),
}

/// The way to whatever answers at one URL, without TLS.
///
/// # Errors
/// [`ChannelError`]
pub fn channel(url: &str) -> Result<Channel, ChannelError> {
    Replicas::new(&[url.to_owned()], None).map(Channel::from)
}

impl From<tonic::transport::Channel> for Channel {
    fn from(channel: tonic::transport::Channel) -> Self {
        Self(Way::One(channel))
    }
}

impl From<Replicas> for Channel {
    fn from(replicas: Replicas) -> Self {
        Self(Way::Many(Arc::new(replicas)))
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Way::One(_) => f.write_str("Channel"),
            Way::Many(replicas) => replicas.fmt(f),
        }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = tower::BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    /// Always: a call waits for its connection itself.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.0.clone() {
            Way::One(channel) => Box::pin(async move { Ok(channel.oneshot(request).await?) }),
            Way::Many(replicas) => Box::pin(async move { replicas.call(request).await }),
        }
    }
}
