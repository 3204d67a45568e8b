//! One replica of a service.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{Request, Response};
use tokio::time::Instant;
use tonic::{ConnectError, body::Body, transport::Endpoint};
use tower::ServiceExt as _;

/// A replica that did not answer is asked last for so long.
const SHUNNED: Duration = Duration::from_secs(2);
/// A replica takes a connection within this time, or not at all.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection that is silent for so long is asked whether it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// For so long it may take to say so.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// One replica of a service: an address and the connection to it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: SocketAddr,
    channel: tonic::transport::Channel,
    shunned_until: Mutex<Option<Instant>>,
}

/// What became of a call to one replica.
pub(super) enum Reply {
    Answered(Response<Body>),
    /// The replica has not seen the call.
    NotSent(tower::BoxError),
    /// Nobody knows whether the replica has seen it.
    Lost(tower::BoxError),
}

impl Member {
    /// Connects at the first call, and again after each failure.
    pub(super) fn new(address: SocketAddr, endpoint: &Endpoint) -> Self {
        let channel = endpoint
            .clone()
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect_lazy();
        Self {
            address,
            channel,
            shunned_until: Mutex::new(None),
        }
    }

    pub(super) async fn call(&self, request: Request<Body>) -> Reply {
        let error = match self.channel.clone().oneshot(request).await {
            Ok(response) => {
                *self.shunned() = None;
                return Reply::Answered(response);
            }
            Err(error) => error,
        };
        *self.shunned() = Some(Instant::now() + SHUNNED);
        if not_sent(&error) {
            Reply::NotSent(error.into())
        } else {
            Reply::Lost(error.into())
        }
    }

    /// Whether it failed a moment ago.
    pub(super) fn is_shunned(&self) -> bool {
        self.shunned().is_some_and(|until| until > Instant::now())
    }

    fn shunned(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.shunned_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No connection was made, or it ended before the request was written.
fn not_sent(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| {
        error.is::<ConnectError>()
            || error
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_canceled)
    })
}
