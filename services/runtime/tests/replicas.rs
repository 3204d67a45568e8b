//! A channel over several replicas, against real gRPC servers.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use fedsx_runtime::{
    grpc,
    transport::{self, Channel, ChannelError, ClientTls, Replicas, ServerTls},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, service::Routes, transport::server::TcpIncoming};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

/// A replica that serves the health of a service that bears its name.
struct Replica {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Replica {
    async fn start(name: &'static str, address: &str, tls: Option<ServerTls>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status(name, ServingStatus::Serving).await;
        let (stop, routes) = (CancellationToken::new(), Routes::new(health));
        let served = grpc::serve(routes, TcpIncoming::from(listener), tls, stop.clone());
        let serving = tokio::spawn(async move { served.await.unwrap() });
        Self {
            address,
            stop,
            serving,
        }
    }

    async fn end(self) -> SocketAddr {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.address
    }
}

/// Whether the replica that is asked bears the name.
async fn is(channel: &Channel, name: &str) -> Result<bool, Status> {
    let request = HealthCheckRequest {
        service: name.to_owned(),
    };
    match HealthClient::new(channel.clone()).check(request).await {
        Ok(_) => Ok(true),
        Err(status) if status.code() == Code::NotFound => Ok(false),
        Err(status) => Err(status),
    }
}

/// Who answers a number of calls.
async fn answering(channel: &Channel, calls: usize) -> BTreeSet<bool> {
    let mut seen = BTreeSet::new();
    for _ in 0..calls {
        seen.insert(is(channel, "first").await.expect("an answer"));
    }
    seen
}

fn over(replicas: &[&Replica]) -> Channel {
    let urls: Vec<_> = replicas
        .iter()
        .map(|replica| format!("http://{}", replica.address))
        .collect();
    Replicas::new(&urls, None).unwrap().into()
}

#[tokio::test]
async fn calls_are_spread_and_survive_replicas_that_go_and_come() {
    let first = Replica::start("first", "127.0.0.1:0", None).await;
    let second = Replica::start("second", "127.0.0.1:0", None).await;
    let channel = over(&[&first, &second]);
    assert_eq!(answering(&channel, 4).await, BTreeSet::from([true, false]));

    // Not one call fails while a replica is away.
    let address = first.end().await;
    assert_eq!(answering(&channel, 10).await, BTreeSet::from([false]));

    let first = Replica::start("first", &address.to_string(), None).await;
    let back = async {
        while !is(&channel, "first").await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back)
        .await
        .expect("the replica that came back is asked again");

    first.end().await;
    second.end().await;
    assert_eq!(is(&channel, "first").await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_name_stands_for_all_its_addresses() {
    let replica = Replica::start("first", "127.0.0.1:0", None).await;
    let channel = transport::channel(&format!("http://localhost:{}", replica.address.port())).unwrap();
    // `localhost` may resolve to ::1 too, where nobody listens.
    assert_eq!(answering(&channel, 4).await, BTreeSet::from([true]));
    let nowhere = transport::channel("http://nowhere.invalid:1").unwrap();
    let status = is(&nowhere, "first").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("http://nowhere.invalid:1"), "{status}");
}

#[tokio::test]
async fn tls_needs_a_certificate_of_the_trusted_authority() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for authority in ["ours", "other"] {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(path(&format!("{authority}.ca")), ca.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(
            path(&format!("{authority}.crt")),
            leaf.signed_by(&key, &ca).unwrap().pem(),
        )
        .unwrap();
        std::fs::write(path(&format!("{authority}.key")), key.serialize_pem()).unwrap();
    }
    let tls = ServerTls::read(&path("ours.crt"), &path("ours.key")).unwrap();
    let replica = Replica::start("first", "127.0.0.1:0", Some(tls)).await;
    let url = vec![format!("https://localhost:{}", replica.address.port())];

    let trusting = Replicas::new(&url, Some(ClientTls::read(&path("ours.ca")).unwrap())).unwrap();
    assert!(is(&trusting.into(), "first").await.unwrap());
    let stranger = Replicas::new(&url, Some(ClientTls::read(&path("other.ca")).unwrap())).unwrap();
    assert_eq!(
        is(&stranger.into(), "first").await.unwrap_err().code(),
        Code::Unavailable
    );
    assert!(matches!(
        Replicas::new(&url, None),
        Err(ChannelError::Authority(_))
    ));
    let missing = ClientTls::read(&path("none.ca")).unwrap_err();
    assert!(missing.to_string().contains("none.ca"), "{missing}");
}
