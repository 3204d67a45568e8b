//! Serving HTTP to strangers: bounded connections, bounded patience, graceful end.

mod stalled;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use http::Request;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use stalled::Stalled;

/// Connections served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// A client must send its request's head within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes nothing of what it is sent for so long is given up.
const STALL: Duration = Duration::from_secs(30);
/// Requests under way at shutdown may take this long to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves a router until the token is cancelled, then lets requests under way end. Handlers find the client's address
/// as `ConnectInfo<SocketAddr>` in the request's extensions.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    serve_shared(listener, router, stop, MAX_CONNECTIONS).await;
}

/// As [`serve`], where one client (see [`network`]) holds at most so many connections: a further one is closed at once.
/// Not for a listener behind a proxy, whose clients come from one address.
pub async fn serve_shared(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    of_one_client: usize,
) {
    serve_within(listener, router, stop, of_one_client, STALL).await;
}

async fn serve_within(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    of_one_client: usize,
    stall: Duration,
) {
    let seats = Seats::default();
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = slots.clone().acquire_owned() => slot,
        };
        let Ok(slot) = slot else { break };
        let (stream, address) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: accepting again at once would spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Some(seat) = seats.take(address.ip(), of_one_client) else {
            tracing::debug!(%address, "a client has too many connections");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let router = router
            .clone()
            .map_request(move |mut request: Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(ConnectInfo(address));
                request.map(axum::body::Body::new)
            });
        let connection = server
            .serve_connection(
                TokioIo::new(Stalled::new(stream, stall)),
                TowerToHyperService::new(router),
            )
            .into_owned();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, %address, "a connection ended early");
            }
            drop((slot, seat));
        });
    }
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

/// What one client holds of the network: an IPv4 address, or an IPv6 /64.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

/// Connections by client.
#[derive(Default, Clone)]
struct Seats(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of a client's; given back when dropped.
struct Seat {
    seats: Seats,
    client: IpAddr,
}

impl Seats {
    fn take(&self, address: IpAddr, of_one_client: usize) -> Option<Seat> {
        let client = network(address);
        let mut taken = self.lock();
        let count = taken.entry(client).or_default();
        if *count >= of_one_client {
            return None;
        }
        *count += 1;
        Some(Seat {
            seats: self.clone(),
            client,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test]
    async fn a_client_holds_its_share_of_connections_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve_shared(listener, router, stop.clone(), 2));
        let ask = async || {
            let mut stream = TcpStream::connect(address).await.ok()?;
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .ok()?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.ok()?;
            assert_eq!(&answer, b"HTTP/1.1 200");
            Some(stream)
        };
        let one = ask().await.unwrap();
        let _two = ask().await.unwrap();
        assert!(ask().await.is_none(), "the third is closed");
        drop(one);
        let again = async {
            while ask().await.is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), again)
            .await
            .unwrap();
        stop.cancel();
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // More than sockets hold.
        let large = || async { vec![0_u8; 64 << 20] };
        let router = Router::new()
            .route("/large", axum::routing::get(large))
            .route("/", axum::routing::get(|| async { "here" }));
        let stop = CancellationToken::new();
        let stall = Duration::from_millis(50);
        let server = tokio::spawn(serve_within(listener, router, stop.clone(), 1, stall));
        let ask = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.ok()?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
            stream.write_all(request.as_bytes()).await.ok()?;
            stream.read_exact(&mut [0; 12]).await.ok()?;
            Some(stream)
        };
        let _silent = ask("/large").await.unwrap();
        let another = async {
            while ask("/").await.is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), another)
            .await
            .unwrap();
        stop.cancel();
        server.await.unwrap();
    }

    #[test]
    fn a_whole_ipv6_network_is_one_client() {
        let network = |address: &str| network(address.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:9.9.9.9"), network("9.9.9.9"));
    }

    #[test]
    fn a_client_without_connections_is_forgotten() {
        let seats = Seats::default();
        let client = "192.0.2.1".parse().unwrap();
        let seat = seats.take(client, 1);
        assert!(seats.take(client, 1).is_none());
        drop(seat);
        assert!(seats.lock().is_empty());
    }
}
