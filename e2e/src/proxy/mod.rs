//! A peer's way to the world, where things go wrong.

mod fault;
mod forward;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use fedsx_testing::Port;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub use fault::Fault;

/// An HTTP proxy in front of a peer: peers know its address as the peer's origin. What it does to them can be changed at
/// any time; a change closes every connection.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    asked: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// None: nobody is there.
    target: Option<SocketAddr>,
    fault: Fault,
    /// Ends the connections that began under this fault.
    cut: CancellationToken,
}

impl Proxy {
    /// A proxy that passes everything on, on a free loopback port.
    pub async fn start() -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.address())
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", port.address()));
        let (shared, stop) = (Arc::<Shared>::default(), CancellationToken::new());
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(accept(listener, shared.clone())),
        );
        Self { port, shared, stop }
    }

    /// The origin of the peer behind it.
    pub fn origin(&self) -> String {
        self.port.origin()
    }

    /// Where the peer listens in truth.
    pub fn leads_to(&self, target: SocketAddr) {
        self.shared.state().target = Some(target);
    }

    /// What it does from now on.
    pub fn set(&self, fault: Fault) {
        let mut state = self.shared.state();
        state.fault = fault;
        self.shared.asked.store(0, Ordering::Relaxed);
        std::mem::take(&mut state.cut).cancel();
    }

    /// How often it was asked since then: requests, or connections where it lets no request through.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
        self.shared.state().cut.cancel();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (target, fault, cut) = {
            let state = shared.state();
            (state.target, state.fault.clone(), state.cut.clone())
        };
        let connection = serve(stream, target, fault, shared.clone());
        tokio::spawn(cut.run_until_cancelled_owned(connection));
    }
}

async fn serve(stream: TcpStream, target: Option<SocketAddr>, fault: Fault, shared: Arc<Shared>) {
    match fault {
        Fault::Reset => {
            shared.asked.fetch_add(1, Ordering::Relaxed);
            let _ = stream.set_zero_linger();
        }
        Fault::BlackHole => {
            shared.asked.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
            drop(stream);
        }
        fault => {
            let service = hyper::service::service_fn(|request| {
                shared.asked.fetch_add(1, Ordering::Relaxed);
                forward::answer(request, target, &fault)
            });
            // A peer that is away ends the connection, as it would without the proxy.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    }
}

#[cfg(test)]
mod tests;
