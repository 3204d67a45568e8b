//! Lines, with TLS or without.

use std::{fmt::Debug, io};

use smtp_proto::request::receiver::DataReceiver;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio_rustls::TlsAcceptor;

/// Most octets of a command line; RFC 5321, section 4.5.3.1.4 asks for 512, and AUTH for more.
const MAX_LINE: u64 = 12_288;
/// Most octets of a message.
pub(super) const MAX_MESSAGE: usize = 1 << 20;

trait Wire: AsyncRead + AsyncWrite + Debug + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Wire for T {}

#[derive(Debug)]
pub(super) struct Stream(BufReader<Box<dyn Wire>>);

impl Stream {
    pub(super) fn new(wire: impl AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static) -> Self {
        Self(BufReader::new(Box::new(wire)))
    }

    /// From here on by TLS. What was sent before its time is an attack (CVE-2011-0411).
    pub(super) async fn encrypted(self, acceptor: &TlsAcceptor) -> io::Result<Self> {
        if !self.0.buffer().is_empty() {
            return Err(io::Error::other("something came after STARTTLS"));
        }
        let wire = acceptor.accept(self.0.into_inner()).await?;
        Ok(Self::new(wire))
    }

    pub(super) async fn say(&mut self, reply: &str) -> io::Result<()> {
        self.0.write_all(format!("{reply}\r\n").as_bytes()).await?;
        self.0.flush().await
    }

    pub(super) async fn write(&mut self, reply: &[u8]) -> io::Result<()> {
        self.0.write_all(reply).await?;
        self.0.flush().await
    }

    /// The next line with its end. None: the other side has closed, or never ends a line.
    pub(super) async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.0).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        Ok(line.ends_with(b"\n").then_some(line))
    }

    /// A message up to its end. None: the other side has closed, or never ends it.
    pub(super) async fn message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (mut receiver, mut message) = (DataReceiver::new(), Vec::new());
        loop {
            let come = self.0.fill_buf().await?;
            if come.is_empty() || message.len() > MAX_MESSAGE * 2 {
                return Ok(None);
            }
            let size = come.len();
            let mut bytes = come.iter();
            let whole = receiver.ingest(&mut bytes, &mut message);
            let left = bytes.len();
            self.0.consume(size - left);
            if whole {
                return Ok(Some(message));
            }
        }
    }
}
