//! How services reach each other: over TCP, or in one process over memory, with the same servers and clients.

use std::{io, time::Duration};

use hyper_util::rt::TokioIo;
use tokio::{
    io::DuplexStream,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// Largest gRPC message either way: a page of 16 activities at their limit. Bytes.
pub const MAX_MESSAGE: usize = 64 << 20;

/// The client's end of an in-memory listener.
#[derive(Debug, Clone)]
pub struct Memory(UnboundedSender<io::Result<DuplexStream>>);

/// The server's end, to be handed to tonic's `serve_with_incoming`.
pub type Incoming = UnboundedReceiverStream<io::Result<DuplexStream>>;

/// A listener that lives in this process.
#[must_use]
pub fn memory() -> (Memory, Incoming) {
    let (sender, receiver): (_, UnboundedReceiver<io::Result<DuplexStream>>) = mpsc::unbounded_channel();
    (Memory(sender), UnboundedReceiverStream::new(receiver))
}

impl Memory {
    /// A lazy channel to the listener: it connects at the first call, and again when the server came back.
    #[must_use]
    pub fn channel(&self) -> Channel {
        let sender = self.0.clone();
        Endpoint::from_static("http://memory").connect_with_connector_lazy(tower::service_fn(
            move |_: Uri| {
                let sender = sender.clone();
                async move {
                    let (client, server) = tokio::io::duplex(256 << 10);
                    sender.send(Ok(server)).map_err(|_| {
                        io::Error::new(io::ErrorKind::ConnectionRefused, "the service has stopped")
                    })?;
                    Ok::<_, io::Error>(TokioIo::new(client))
                }
            },
        ))
    }
}

/// A lazy channel to a service's URL.
///
/// # Errors
/// Where the URL is none.
pub fn channel(url: &str) -> Result<Channel, tonic::transport::Error> {
    Ok(Endpoint::from_shared(url.to_owned())?
        .connect_timeout(Duration::from_secs(3))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .connect_lazy())
}
