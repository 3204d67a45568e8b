//! A channel over several replicas, against real gRPC servers.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::{collections::BTreeSet, net::SocketAddr, path::Path, time::Duration};

use fedsx_runtime::{
    grpc,
    shutdown::Shutdown,
    tls::{Protocol, ServerTls},
    transport::{self, Channel, ChannelError, ClientTls, Replicas},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tonic::{Code, Status, service::Routes, transport::server::TcpIncoming};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

/// A replica that serves the health of a service that bears its name.
struct Replica {
    address: SocketAddr,
    stop: Shutdown,
    serving: JoinHandle<()>,
}

impl Replica {
    async fn start(name: &'static str, address: &str, tls: Option<ServerTls>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status(name, ServingStatus::Serving).await;
        let (stop, routes) = (Shutdown::default(), Routes::new(health));
        let ending = stop.clone();
        let serving = tokio::spawn(async move {
            let served = grpc::serve(routes, TcpIncoming::from(listener), tls, &ending);
            served.await.unwrap();
        });
        Self {
            address,
            stop,
            serving,
        }
    }

    async fn end(self) -> SocketAddr {
        self.stop.begin();
        self.serving.await.unwrap();
        self.address
    }
}

/// A replica that is frozen: the kernel takes connections in its stead, and nothing is said on them.
async fn frozen() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok(connection) = listener.accept().await {
            taken.push(connection);
        }
    });
    address
}

/// Nothing in a test takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

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
    tokio::time::timeout(PATIENCE, back)
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
async fn a_frozen_replica_is_passed_over_once_a_caller_has_given_up() {
    let replica = Replica::start("first", "127.0.0.1:0", None).await;
    let urls = [replica.address, frozen().await].map(|address| format!("http://{address}"));
    let channel: Channel = Replicas::new(&urls, None).unwrap().into();
    let one_gives_up = async {
        let patience = Duration::from_millis(1500);
        while tokio::time::timeout(patience, is(&channel, "first"))
            .await
            .is_ok()
        {}
    };
    tokio::time::timeout(PATIENCE, one_gives_up).await.unwrap();
    assert_eq!(answering(&channel, 10).await, BTreeSet::from([true]));
}

/// An authority, and a certificate for localhost that it has signed, in files that are named after it.
fn certify(folder: &Path, authority: &str) {
    let path = |kind: &str| folder.join(format!("{authority}.{kind}"));
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(path("ca"), ca.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("crt"), leaf.signed_by(&key, &ca).unwrap().pem()).unwrap();
    std::fs::write(path("key"), key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn a_replica_that_is_frozen_before_the_handshake_costs_a_call_nothing_but_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    certify(folder.path(), "ours");
    let tls = ServerTls::read(&path("ours.crt"), &path("ours.key"), Protocol::Grpc).unwrap();
    let replica = Replica::start("first", "127.0.0.1:0", Some(tls)).await;
    let frozen = frozen().await;
    let over = |addresses: &[SocketAddr]| -> Channel {
        let url = |address: &SocketAddr| format!("https://localhost:{}", address.port());
        let urls: Vec<_> = addresses.iter().map(url).collect();
        let trusted = ClientTls::read(&path("ours.ca")).unwrap();
        Replicas::new(&urls, Some(trusted)).unwrap().into()
    };
    let both = over(&[frozen, replica.address]);
    let answered = tokio::time::timeout(PATIENCE, answering(&both, 4)).await;
    assert_eq!(answered.unwrap(), BTreeSet::from([true]));

    let alone = over(&[frozen]);
    let failed = tokio::time::timeout(PATIENCE, is(&alone, "first")).await;
    assert_eq!(failed.unwrap().unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_hung_up_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    certify(folder.path(), "ours");
    let tls = ServerTls::read(&path("ours.crt"), &path("ours.key"), Protocol::Grpc).unwrap();
    let replica = Replica::start("first", "127.0.0.1:0", Some(tls)).await;
    let mut silent = TcpStream::connect(replica.address).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, silent.read(&mut [0])).await;
    assert_eq!(read.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_one_that_is_half_written_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let put = |authority: &str, kind: &str| {
        std::fs::copy(path(&format!("{authority}.{kind}")), path(&format!("tls.{kind}"))).unwrap();
    };
    for authority in ["old", "new"] {
        certify(folder.path(), authority);
    }
    put("old", "crt");
    put("old", "key");
    let tls = ServerTls::read(&certificate, &key, Protocol::Grpc).unwrap();
    let replica = Replica::start("first", "127.0.0.1:0", Some(tls)).await;
    let is_trusted_by = async |authority: &str| {
        let trusted = ClientTls::read(&path(&format!("{authority}.ca"))).unwrap();
        let url = format!("https://localhost:{}", replica.address.port());
        let channel = Replicas::new(&[url], Some(trusted)).unwrap();
        is(&channel.into(), "first").await.is_ok()
    };
    assert!(is_trusted_by("old").await && !is_trusted_by("new").await);
    put("new", "crt");
    assert!(is_trusted_by("old").await, "its key is not there yet");
    put("new", "key");
    assert!(is_trusted_by("new").await && !is_trusted_by("old").await);
}

#[tokio::test]
async fn tls_needs_a_certificate_of_the_trusted_authority() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for authority in ["ours", "other"] {
        certify(folder.path(), authority);
    }
    let tls = ServerTls::read(&path("ours.crt"), &path("ours.key"), Protocol::Grpc).unwrap();
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
