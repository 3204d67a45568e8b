//! Certificates: what this process shows, and whom it trusts, both from PEM files that may be renewed while it runs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

mod renewed;
mod server;

pub(crate) use renewed::Renewed;
pub use server::{Protocol, ServerTls};

/// A PEM file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used", path.display())]
pub struct TlsError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl TlsError {
    fn new(path: &Path, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            source,
        }
    }

    /// What is in the file is not what it should be.
    fn unsound(path: &Path, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(path, io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::new(path, source))
}

/// The certificates of a file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::unsound(path, error))?;
    if certificates.is_empty() {
        return Err(TlsError::unsound(path, "it has no certificate"));
    }
    Ok(certificates)
}

/// The authorities of a file, each of which can vouch for a server.
pub(crate) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let authorities = certificates(path)?;
    let mut store = RootCertStore::empty();
    for authority in &authorities {
        store
            .add(authority.clone())
            .map_err(|error| TlsError::unsound(path, error))?;
    }
    Ok(authorities)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
