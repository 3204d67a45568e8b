//! One replica of a service.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, Response};
use tokio::time::Instant;
use tonic::{ConnectError, Status, body::Body, transport::Endpoint};
use tower::ServiceExt as _;

/// A replica that did not answer is asked last for so long, twice as long each time that it does not answer again…
const SHUNNED: Duration = Duration::from_secs(2);
/// … and at most for so long.
const SHUNNED_AT_MOST: Duration = Duration::from_secs(15);
/// Whose caller gave up sooner has not been asked in earnest.
const ASKED: Duration = Duration::from_secs(1);
/// A replica takes a connection within this time, or not at all; a TLS handshake on it, too.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// A connection that is silent for so long is asked whether it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// For so long it may take to say so.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// One replica of a service: an address and the connection to it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: SocketAddr,
    channel: tonic::transport::Channel,
    shunned: Mutex<Option<Shunned>>,
}

/// A replica that did not answer, and has not since.
#[derive(Debug, Clone, Copy)]
struct Shunned {
    since: Instant,
    until: Instant,
    length: Duration,
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
            shunned: Mutex::new(None),
        }
    }

    pub(super) async fn call(&self, request: Request<Body>) -> Reply {
        let asking = Asking::begin(self);
        let answer = self.channel.clone().oneshot(request).await;
        let begun = asking.end();
        let error = match answer {
            Ok(response) => {
                *self.shunned() = None;
                return Reply::Answered(response);
            }
            Err(error) => error,
        };
        self.shun(begun);
        if not_sent(&error) {
            Reply::NotSent(error.into())
        } else {
            // Not what kind of failure of the connection it was: tonic would call it internal.
            Reply::Lost(Status::unavailable(told(&error)).into())
        }
    }

    /// Whether it failed a moment ago.
    pub(super) fn is_shunned(&self) -> bool {
        self.shunned()
            .is_some_and(|shunned| shunned.until > Instant::now())
    }

    /// A call that was begun then was not answered.
    fn shun(&self, begun: Instant) {
        let mut shunned = self.shunned();
        let length = match *shunned {
            None => SHUNNED,
            // Of calls that fail together, one tells.
            Some(shunned) if begun < shunned.since => return,
            Some(shunned) => (shunned.length * 2).min(SHUNNED_AT_MOST),
        };
        let since = Instant::now();
        *shunned = Some(Shunned {
            since,
            until: since + length,
            length,
        });
    }

    fn shunned(&self) -> MutexGuard<'_, Option<Shunned>> {
        self.shunned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits for its answer. Dropped before, its caller has given up, which may be sooner than the replica is found to
/// be frozen.
struct Asking<'a> {
    member: &'a Member,
    begun: Instant,
    has_ended: bool,
}

impl<'a> Asking<'a> {
    fn begin(member: &'a Member) -> Self {
        let begun = Instant::now();
        // The others wait for what becomes of this one.
        if let Some(shunned) = &mut *member.shunned()
            && shunned.until <= begun
        {
            shunned.until = begun + shunned.length;
        }
        Self {
            member,
            begun,
            has_ended: false,
        }
    }

    /// When it was begun.
    fn end(mut self) -> Instant {
        self.has_ended = true;
        self.begun
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.has_ended && self.begun.elapsed() >= ASKED {
            self.member.shun(self.begun);
        }
    }
}

/// No connection was made, or it ended before the request was written.
/// Whether a replica that ends, or has too much to do, has left a call alone (RFC 9113, 6.8 and 8.7): of those on a
/// connection, it ends those that it had taken.
fn is_refused(error: &h2::Error) -> bool {
    let ends = error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
    ends || error.reason() == Some(h2::Reason::REFUSED_STREAM)
}

/// An error with what caused it.
fn told(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn not_sent(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| {
        error.is::<ConnectError>()
            || error.downcast_ref().is_some_and(is_refused)
            || error
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_canceled)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_replica_that_goes_on_not_answering_is_shunned_for_longer() {
        let endpoint = Endpoint::from_static("http://127.0.0.1:1");
        let member = Member::new(([127, 0, 0, 1], 1).into(), &endpoint);
        let length = || member.shunned().map(|shunned| shunned.length.as_secs());
        let (mut lengths, together) = (Vec::new(), Instant::now());
        for _ in 0..5 {
            member.shun(Instant::now());
            member.shun(together);
            lengths.extend(length());
        }
        assert_eq!(lengths, [2, 4, 8, 15, 15]);
    }
}
