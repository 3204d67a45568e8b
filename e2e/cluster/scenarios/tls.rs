//! TLS between the domains.

use std::collections::BTreeMap;

use fedsx_e2e::Certificate;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;

use super::Traffic;
use crate::harness::{Release, Stage, helm};

/// Each gateway gets a certificate for its public name, of an authority that the other domain alone is told of; then all goes
/// back to what it was.
pub(crate) async fn both_domains_go_over_to_tls_and_back_under_load(stage: &'static Stage) {
    let Stage { blog, events, .. } = stage;
    for release in [blog, events] {
        certify(stage, release).await;
    }
    let mut traffic = Traffic::start(stage, "tls", [2, 1]).await;
    traffic.goes_on(10).await;
    tokio::join!(go_over(blog, events), go_over(events, blog));
    traffic.goes_on(10).await;
    for release in [blog, events] {
        release.test().await;
    }
    let back = async |release: &Release| {
        let rollback = ["rollback", release.name(), "--wait", "--timeout", "5m"];
        helm::must(&stage.cluster.namespace, &rollback).await
    };
    tokio::join!(back(blog), back(events));
    traffic.goes_on(10).await;
    traffic.verify().await;
}

/// Makes the Secret that the release's gateway will serve by.
async fn certify(stage: &Stage, release: &Release) {
    let folder = tempfile::tempdir().expect("a folder");
    let files = Certificate::write(folder.path(), &format!("{}.example.org", release.name()));
    let content = |path| ByteString(std::fs::read(path).expect("a file"));
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(format!("{}-tls", release.name())),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(BTreeMap::from([
            ("tls.crt".to_owned(), content(files.certificate)),
            ("tls.key".to_owned(), content(files.key)),
            ("ca.crt".to_owned(), content(files.authority)),
        ])),
        ..Secret::default()
    };
    let secrets = stage.cluster.api::<Secret>();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .expect("a Secret");
}

async fn go_over(release: &Release, peer: &Release) {
    let (own, peer) = (release.name(), peer.name());
    let resolve = json!([{
        "host": format!("{peer}.example.org"), "service": format!("{peer}-gateway"),
        "tls": {"enabled": true, "caSecret": {"name": format!("{peer}-tls"), "key": "ca.crt"}},
    }]);
    let certificate = format!("gateway.tls.existingSecret={own}-tls");
    let resolve = format!("federation.resolve={resolve}");
    release
        .upgrade(&["--set", &certificate, "--set-json", &resolve])
        .await;
}
