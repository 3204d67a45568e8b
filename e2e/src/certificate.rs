//! Certificates of authorities that nobody else knows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// An authority of its own, and a certificate that it gave to one name: PEM files in a folder of somebody else's.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The authority.
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// Writes the files, also over those of before.
    pub fn write(folder: &Path, name: &str) -> Self {
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
        let server = parameters(name).signed_by(&server_key, &Issuer::new(authority, issuer_key));
        write(&files.certificate, &server.expect("a certificate").pem());
        write(&files.key, &server_key.serialize_pem());
        files
    }
}

fn write(path: &Path, content: &str) {
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
