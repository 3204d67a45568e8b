//! TLS between services: the server shows a certificate, the client trusts an authority.

use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// A PEM file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read", path.display())]
pub struct TlsError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// What a server shows.
#[derive(Clone)]
pub struct ServerTls(ServerTlsConfig);

/// Whom a client trusts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls(ClientTlsConfig);

impl ServerTls {
    /// From PEM files: the certificate with its chain, and its private key.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let identity = Identity::from_pem(read(certificate)?, read(key)?);
        Ok(Self(ServerTlsConfig::new().identity(identity)))
    }

    #[must_use]
    pub fn config(&self) -> ServerTlsConfig {
        self.0.clone()
    }
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

    /// For a server of this name.
    pub(super) fn of(&self, host: &str) -> ClientTlsConfig {
        self.0.clone().domain_name(host)
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls(…)")
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError {
        path: path.to_owned(),
        source,
    })
}
