//! What a server shows.

use std::{io, path::Path, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Renewed, TlsError, certificates, provider, read};

/// A client shakes hands within this time, or is hung up on.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What a server shows: a certificate that is read again when it was renewed. Cheap to clone; the clones read it once.
#[derive(Debug, Clone)]
pub struct ServerTls(Arc<Renewed<Arc<ServerConfig>, TlsError>>);

/// What is spoken once hands are shaken (ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// To peers and people.
    Http1,
    /// Between services.
    Grpc,
}

impl ServerTls {
    /// From PEM files: the certificate with its chain, and its private key.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn read(certificate: &Path, key: &Path, protocol: Protocol) -> Result<Self, TlsError> {
        let files = vec![certificate.to_owned(), key.to_owned()];
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let shown = Renewed::new(files, move || config(&certificate, &key, protocol))?;
        Ok(Self(Arc::new(shown)))
    }

    /// Shakes hands with a client.
    pub(crate) async fn accept<C>(&self, connection: C) -> io::Result<TlsStream<C>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let accepted = TlsAcceptor::from(self.0.get()).accept(connection);
        tokio::time::timeout(HANDSHAKE, accepted).await?
    }
}

fn config(certificate: &Path, key: &Path, protocol: Protocol) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
    let private =
        PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| TlsError::unsound(key, error))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
    let mut config = config.map_err(|error| TlsError::unsound(certificate, error))?;
    config.alpn_protocols.push(match protocol {
        Protocol::Http1 => b"http/1.1".to_vec(),
        Protocol::Grpc => b"h2".to_vec(),
    });
    Ok(Arc::new(config))
}
