//! An authority for one server.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

/// An authority, and what it gave to loopback.
pub(super) struct Authority {
    certificate: NamedTempFile,
    pub(super) acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Authority {
    pub(super) fn new() -> Self {
        let parameters = |name: &str| CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let key = || KeyPair::generate().expect("a key");
        let mut authority = parameters("authority.test");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer_key = key();
        let issuer = authority.self_signed(&issuer_key).expect("a certificate");
        let server_key = key();
        let server = parameters("127.0.0.1").signed_by(&server_key, &Issuer::new(authority, issuer_key));
        let server = server.expect("a certificate").der().clone();
        let certificate = NamedTempFile::new().expect("a file");
        std::fs::write(certificate.path(), issuer.pem()).expect("a file");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(
                vec![server],
                PrivateKeyDer::Pkcs8(server_key.serialize_der().into()),
            );
        Self {
            certificate,
            acceptor: TlsAcceptor::from(Arc::new(config.expect("a key for its certificate"))),
        }
    }

    pub(super) fn file(&self) -> &Path {
        self.certificate.path()
    }
}
