//! Whom a client of a service trusts.

use std::path::Path;

use tonic::transport::{Certificate, ClientTlsConfig};

use super::member::CONNECT;
use crate::tls::{TlsError, read};

/// Whom a client trusts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls(ClientTlsConfig);

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
