//! Serving HTTP to strangers: bounded connections, bounded patience, graceful end.

mod seats;
mod stalled;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use http::Request;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{shutdown::Shutdown, tls::ServerTls};
use seats::Seats;
pub use seats::network;
use stalled::Stalled;

/// Connections served at once, those included on which hands are still shaken; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// A client must send its request's head within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes nothing of what it is sent for so long is given up.
const STALL: Duration = Duration::from_secs(30);

/// What is served, and to whom. Handlers find the client's address as `ConnectInfo<SocketAddr>` in the request's
/// extensions.
#[derive(Debug)]
pub struct Server {
    router: Router,
    tls: Option<ServerTls>,
    of_one_client: usize,
    stall: Duration,
}

impl Server {
    /// Plain, to anybody.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self {
            router,
            tls: None,
            of_one_client: MAX_CONNECTIONS,
            stall: STALL,
        }
    }

    /// By TLS, where there is a certificate to show.
    #[must_use]
    pub fn with_tls(self, tls: Option<ServerTls>) -> Self {
        Self { tls, ..self }
    }

    /// To clients each of which (see [`network`]) holds at most so many connections: a further one is closed at once. Not for
    /// a listener behind a proxy, whose clients come from one address.
    #[must_use]
    pub fn shared(self, of_one_client: usize) -> Self {
        Self {
            of_one_client,
            ..self
        }
    }

    /// Serves until shutdown, then lets requests under way end for as long as they may.
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) {
        let (stop, graceful, seats) = (shutdown.token(), GracefulShutdown::new(), Seats::default());
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let (of_one_client, server) = (self.of_one_client, Arc::new(self));
        loop {
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                slot = slots.clone().acquire_owned() => slot,
            };
            let Ok(slot) = slot else { break };
            let accepted = stop.run_until_cancelled(listener.accept()).await;
            let (stream, address) = match accepted {
                None => break,
                Some(Ok(accepted)) => accepted,
                Some(Err(error)) => {
                    // Out of descriptors, most likely: accepting again at once would spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(seat) = seats.take(address.ip(), of_one_client) else {
                tracing::debug!(%address, "a client has too many connections");
                continue;
            };
            let (server, watcher, stop) = (server.clone(), graceful.watcher(), stop.clone());
            tokio::spawn(async move {
                server.take(stream, address, watcher, &stop).await;
                drop((slot, seat));
            });
        }
        // Who comes now is refused at once, and goes elsewhere.
        drop(listener);
        shutdown.hard().run_until_cancelled(graceful.shutdown()).await;
    }

    /// Takes a connection, in a task of its own: a client that shakes hands slowly keeps nobody else waiting.
    async fn take(&self, stream: TcpStream, address: SocketAddr, watcher: Watcher, stop: &CancellationToken) {
        let _ = stream.set_nodelay(true);
        let stream = Stalled::new(stream, self.stall);
        let Some(tls) = &self.tls else {
            return self.converse(stream, address, watcher).await;
        };
        match stop.run_until_cancelled(tls.accept(stream)).await {
            Some(Ok(stream)) => self.converse(stream, address, watcher).await,
            Some(Err(error)) => tracing::debug!(%error, %address, "a handshake failed"),
            None => {}
        }
    }

    /// Answers what is asked on a connection until it ends.
    async fn converse<S>(&self, stream: S, address: SocketAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT);
        let router = self
            .router
            .clone()
            .map_request(move |mut request: Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(ConnectInfo(address));
                request.map(axum::body::Body::new)
            });
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, %address, "a connection ended early");
        }
    }
}
