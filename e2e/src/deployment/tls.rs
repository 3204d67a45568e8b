//! Certificates for a deployment's internal calls.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// An authority of the deployment's own, and a certificate that it gave to loopback.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    pub(super) fn write(folder: &Path) -> Self {
        let files = Self {
            authority: folder.join("authority.pem"),
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        let key = || KeyPair::generate().expect("a key");
        let parameters = |name: &str| CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let mut authority = parameters("authority.test");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer_key = key();
        let issuer = authority.self_signed(&issuer_key).expect("a certificate");
        write(&files.authority, &issuer.pem());
        let server_key = key();
        let server = parameters("127.0.0.1").signed_by(&server_key, &Issuer::new(authority, issuer_key));
        write(&files.certificate, &server.expect("a certificate").pem());
        write(&files.key, &server_key.serialize_pem());
        files
    }

    /// The settings of every role.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("tls_certificate", &self.certificate),
            ("tls_key", &self.key),
            ("tls_ca", &self.authority),
        ]
        .into_iter()
        .map(|(key, path)| (key, path.display().to_string()))
    }
}

fn write(path: &Path, content: &str) {
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
