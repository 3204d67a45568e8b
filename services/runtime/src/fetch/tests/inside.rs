//! Peers inside the cluster: on loopback, under names that nobody resolves.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use axum::{Router, extract::Request, http::StatusCode, routing::any};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    serve::Server,
    shutdown::Shutdown,
    tls::{Protocol, ServerTls},
};

const HOST: &str = "events.example.org";

/// Authorities, and the certificate of a server.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `<authority>.ca`, and `tls.crt` with `tls.key`, which it gave to a name.
    fn certify(&self, authority: &str, name: &str) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let write = |name: &str, pem: String| std::fs::write(self.path(name), pem).unwrap();
        write(&format!("{authority}.ca"), ca.pem());
        write("tls.crt", leaf.signed_by(&key, &ca).unwrap().pem());
        write("tls.key", key.serialize_pem());
    }

    fn tls(&self) -> ServerTls {
        ServerTls::read(&self.path("tls.crt"), &self.path("tls.key"), Protocol::Http1).unwrap()
    }
}

/// Serves what a request asks for as whom: its header `Host`, or a redirect to what stands in its query.
async fn gateway(tls: Option<ServerTls>) -> SocketAddr {
    let answer = async |request: Request| {
        let told = request.headers()["host"].to_str().unwrap().to_owned();
        match request.uri().query() {
            Some(to) => (StatusCode::FOUND, [("location", to.to_owned())], told),
            None => (StatusCode::OK, [("location", String::new())], told),
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(any(answer));
    tokio::spawn(
        Server::new(router)
            .with_tls(tls)
            .run(listener, Shutdown::default()),
    );
    address
}

fn inside(entries: &[String]) -> Result<Fetcher, FetcherError> {
    Fetcher::new(Policy::default().resolving(entries.iter().cloned()).unwrap())
}

fn by_tls(address: SocketAddr, ca: &Path) -> Fetcher {
    let entry = format!("{HOST}=https://localhost:{}?ca={}", address.port(), ca.display());
    inside(&[entry]).unwrap()
}

async fn get(fetcher: &Fetcher, url: &str) -> Result<(String, String), FetchError> {
    let document = fetcher.get(url, "*/*").await?;
    let told = String::from_utf8_lossy(&document.body).into_owned();
    Ok((document.url, told))
}

fn told(url: &str, host: &str) -> Result<(String, String), FetchError> {
    Ok((url.to_owned(), host.to_owned()))
}

#[tokio::test]
async fn a_listed_peer_is_asked_at_its_service_under_its_public_name() {
    let address = gateway(None).await;
    // `localhost` may have several addresses, at one of which there is somebody.
    let service = format!("http://localhost:{}", address.port());
    let fetcher = inside(&[format!("{HOST}={service}"), format!("{HOST}:8443={service}")]).unwrap();
    for (url, host) in [
        ("https://events.example.org/a?", HOST),
        ("https://events.example.org:8443/a?", "events.example.org:8443"),
    ] {
        let url = url.trim_end_matches('?');
        assert_eq!(get(&fetcher, url).await, told(url, host));
        let answer = fetcher.post(url, http::HeaderMap::new(), Bytes::new()).await;
        assert_eq!(answer.unwrap().body, host);
    }
    // A redirect is of the public origin, too.
    let there = "https://events.example.org/b";
    assert_eq!(
        get(&fetcher, "https://events.example.org/a?/b").await,
        told(there, HOST)
    );
}

#[tokio::test]
async fn the_service_itself_and_every_other_private_address_stay_closed() {
    let address = gateway(None).await;
    let service = format!("http://localhost:{}", address.port());
    let fetcher = inside(&[format!("{HOST}={service}")]).unwrap();
    for refused in [
        format!("{service}/"),
        format!("https://localhost:{}/", address.port()),
        format!("http://{address}/"),
        format!("https://{HOST}/a?{service}/"),
        format!("https://{HOST}/a?https://localhost:{}/", address.port()),
        format!("http://{HOST}/"),
        format!("https://{HOST}:{}/", address.port()),
        format!("https://{HOST}./"),
    ] {
        let error = get(&fetcher, &refused).await.unwrap_err();
        assert!(matches!(error, FetchError::Forbidden(_)), "{refused}: {error}");
    }
}

#[tokio::test]
async fn a_certificate_is_of_the_public_host_and_of_the_one_authority() {
    let files = Files::new();
    files.certify("other", HOST);
    files.certify("ours", HOST);
    let address = gateway(Some(files.tls())).await;
    let url = "https://events.example.org/a";
    assert_eq!(
        get(&by_tls(address, &files.path("ours.ca")), url).await,
        told(url, HOST)
    );

    let error = get(&by_tls(address, &files.path("other.ca")), url)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    let system = inside(&[format!("{HOST}=https://localhost:{}", address.port())]).unwrap();
    let error = get(&system, url).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    // One for the service's own name is none for the peer.
    files.certify("ours", "localhost");
    let address = gateway(Some(files.tls())).await;
    let error = get(&by_tls(address, &files.path("ours.ca")), url)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_renewed_authority_is_trusted_and_one_that_is_half_written_changes_nothing() {
    let files = Files::new();
    files.certify("other", HOST);
    files.certify("ours", HOST);
    let (address, url) = (gateway(Some(files.tls())).await, "https://events.example.org/a");
    let fetcher = by_tls(address, &files.path("ours.ca"));
    assert_eq!(get(&fetcher, url).await, told(url, HOST));
    std::fs::write(files.path("ours.ca"), "-----BEGIN CERT").unwrap();
    assert_eq!(get(&fetcher, url).await, told(url, HOST));
    std::fs::copy(files.path("other.ca"), files.path("ours.ca")).unwrap();
    assert!(
        get(&fetcher, url).await.is_err(),
        "it has not given this certificate"
    );
    files.certify("ours", HOST);
    assert_eq!(get(&fetcher, url).await, told(url, HOST));
}

#[tokio::test]
async fn an_authority_that_is_none_is_told_with_its_file_and_peer() {
    let files = Files::new();
    std::fs::write(files.path("empty"), "").unwrap();
    std::fs::write(
        files.path("odd"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for (file, why) in [("none", "os error 2"), ("empty", "no certificate"), ("odd", "")] {
        let ca = files.path(file);
        let error = inside(&[format!("{HOST}=https://localhost?ca={}", ca.display())]).unwrap_err();
        let mut said = error.to_string();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            said = format!("{said}: {source}");
            cause = source;
        }
        let ca = ca.display().to_string();
        assert!(
            said.contains(HOST) && said.contains(&ca) && said.contains(why),
            "{said}"
        );
    }
}

#[tokio::test]
async fn who_does_not_shake_hands_keeps_nobody_waiting() {
    let files = Files::new();
    files.certify("ours", HOST);
    let address = gateway(Some(files.tls())).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let url = "https://events.example.org/a";
    assert_eq!(
        get(&by_tls(address, &files.path("ours.ca")), url).await,
        told(url, HOST)
    );
    let read = tokio::time::timeout(Duration::from_secs(60), silent.read(&mut [0])).await;
    assert_eq!(read.unwrap().unwrap(), 0);
}
