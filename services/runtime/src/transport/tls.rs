//! TLS between services: the server shows a certificate, the client trusts an authority.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::{Certificate, ClientTlsConfig};

use super::member::CONNECT;

/// A client shakes hands within this time, or is hung up on.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A PEM file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read", path.display())]
pub struct TlsError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// What a server shows: a certificate that is read again when it was renewed. Cheap to clone; the clones read it once.
#[derive(Clone)]
pub struct ServerTls(Arc<Shown>);

struct Shown {
    certificate: PathBuf,
    key: PathBuf,
    kept: Mutex<Kept>,
}

/// The files as they were when they were read last.
struct Kept {
    changed: Changed,
    config: Arc<ServerConfig>,
}

/// When the certificate and its key were written.
type Changed = (Option<SystemTime>, Option<SystemTime>);

/// Whom a client trusts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls(ClientTlsConfig);

impl ServerTls {
    /// From PEM files: the certificate with its chain, and its private key.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let kept = Kept {
            changed: (written(certificate), written(key)),
            config: config(certificate, key)?,
        };
        Ok(Self(Arc::new(Shown {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            kept: Mutex::new(kept),
        })))
    }

    /// Shakes hands with a client.
    pub(crate) async fn accept<C>(&self, connection: C) -> io::Result<TlsStream<C>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let accepted = TlsAcceptor::from(self.0.config()).accept(connection);
        tokio::time::timeout(HANDSHAKE, accepted).await?
    }
}

impl Shown {
    /// What the files say now; where that is nothing sound, as while they are being written, what they said before.
    fn config(&self) -> Arc<ServerConfig> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = (written(&self.certificate), written(&self.key));
        if changed != kept.changed {
            match config(&self.certificate, &self.key) {
                Ok(config) => *kept = Kept { changed, config },
                Err(error) => tracing::warn!(
                    cause = %error.source,
                    "a renewed certificate is not used yet: {error}"
                ),
            }
        }
        Arc::clone(&kept.config)
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

fn config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let unusable = |path: &Path, source| TlsError {
        path: path.to_owned(),
        source,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(certificate, invalid(error)))?;
    let private =
        PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| unusable(key, invalid(error)))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
    let mut config = config.map_err(|error| unusable(certificate, invalid(error)))?;
    config.alpn_protocols.push(b"h2".to_vec());
    Ok(Arc::new(config))
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl ClientTls {
    /// From a PEM file of authorities.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn read(authorities: &Path) -> Result<Self, TlsError> {
        let certificate = Certificate::from_pem(read(authorities)?);
        Ok(Self(ClientTlsConfig::new().ca_certificate(certificate)))
    }

    /// For a server of this name. One that takes the connection and says nothing has failed in time.
    pub(super) fn of(&self, host: &str) -> ClientTlsConfig {
        self.0.clone().domain_name(host).timeout(CONNECT)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls(…)")
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError {
        path: path.to_owned(),
        source,
    })
}
