//! Serving a domain's internal gRPC: the services of a process, their health (grpc.health.v1) and reflection
//! (grpc.reflection.v1), over TCP or memory.

use std::{future::ready, io, time::Duration};

use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;
use tonic::{
    service::Routes,
    transport::{Server, server::Connected},
};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{health::Readiness, shutdown::Shutdown, tls::ServerTls};

/// A connection that is silent for so long is asked whether it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// For so long it may take to say so.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that one connection may have under way before they are read: a subscription fills it, so that other calls must not.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Clients that shake hands at once; more wait to be accepted.
const HANDSHAKES: usize = 1024;

/// Server reflection cannot be offered.
#[derive(Debug, thiserror::Error)]
#[error("server reflection: {0}")]
pub struct ReflectionError(#[from] tonic_reflection::server::Error);

/// Adds health and reflection to a process's services. They need no token: they tell nothing but names and whether the
/// process is ready. `descriptors` is an encoded `FileDescriptorSet`; `services` are full names, `fedsx.v1.Log`.
///
/// # Errors
/// [`ReflectionError`] where the descriptors are malformed.
pub fn with_health_and_reflection(
    routes: Routes,
    services: &'static [&'static str],
    descriptors: &'static [u8],
    readiness: &Readiness,
    shutdown: &Shutdown,
) -> Result<Routes, ReflectionError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let stop = shutdown.token();
    let told = tell(reporter, services, readiness.clone());
    shutdown.spawn(async move { stop.run_until_cancelled(told).await });
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Ok(routes.add_service(health).add_service(reflection))
}

/// Keeps the health service's answers what readiness says; the empty name stands for the whole process.
async fn tell(reporter: HealthReporter, services: &'static [&'static str], readiness: Readiness) {
    let mut changes = readiness.watch();
    loop {
        let status = if changes.borrow_and_update().is_empty() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in std::iter::once(&"").chain(services) {
            reporter.set_service_status(*service, status).await;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Serves until shutdown, then lets calls under way end for as long as they may.
///
/// # Errors
/// Where the listener fails.
pub async fn serve<I, C>(
    routes: Routes,
    incoming: I,
    tls: Option<ServerTls>,
    shutdown: &Shutdown,
) -> Result<(), tonic::transport::Error>
where
    I: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .initial_connection_window_size(CONNECTION_WINDOW)
        .tcp_nodelay(true)
        // Some services can be read as JSON too.
        .accept_http1(true)
        .add_routes(routes);
    let stopped = shutdown.token().cancelled_owned();
    let serving = async {
        match tls {
            None => server.serve_with_incoming_shutdown(incoming, stopped).await,
            Some(tls) => {
                let secured = secured(incoming, tls);
                server.serve_with_incoming_shutdown(secured, stopped).await
            }
        }
    };
    // Who does not read keeps its connection.
    shutdown
        .hard()
        .run_until_cancelled(serving)
        .await
        .unwrap_or(Ok(()))
}

/// The connections on which a handshake succeeds.
fn secured<I, C>(incoming: I, tls: ServerTls) -> impl Stream<Item = io::Result<TlsStream<C>>>
where
    I: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Unpin,
{
    let shake = move |accepted: io::Result<C>| {
        let tls = tls.clone();
        async move {
            let connection = match accepted {
                Ok(connection) => connection,
                Err(error) => return Some(Err(error)),
            };
            let secured = tls.accept(connection).await;
            secured
                .inspect_err(|error| tracing::debug!(%error, "a handshake failed"))
                .ok()
                .map(Ok)
        }
    };
    incoming.map(shake).buffer_unordered(HANDSHAKES).filter_map(ready)
}
