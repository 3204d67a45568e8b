//! A listener that lives in this process.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::{
    io::DuplexStream,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Endpoint, Uri};

use super::Channel;

/// What a connection holds between its ends. Bytes.
const BUFFER: usize = 256 << 10;

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
        let connector = tower::service_fn(move |_: Uri| {
            let sender = sender.clone();
            async move {
                let (client, server) = tokio::io::duplex(BUFFER);
                sender.send(Ok(server)).map_err(|_| {
                    io::Error::new(io::ErrorKind::ConnectionRefused, "the service has stopped")
                })?;
                Ok::<_, io::Error>(TokioIo::new(client))
            }
        });
        Endpoint::from_static("http://memory")
            .connect_with_connector_lazy(connector)
            .into()
    }
}
