//! The way from the test into a role's pods.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::cluster::ready;

/// How often a connection asks whether its pod is there.
const LOOK: Duration = Duration::from_millis(500);
/// Pods come and go; for so long one is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A port of this machine whose connections go to a ready pod each, by the API server's port forwarding. Works with any
/// cluster, and past its NetworkPolicies, as `kubectl port-forward` does.
#[derive(Debug)]
pub(crate) struct Tunnel {
    url: String,
    task: JoinHandle<()>,
}

impl Tunnel {
    pub(crate) async fn to(pods: Api<Pod>, selector: String, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let way = Arc::new(Way { pods, selector, port });
        let task = tokio::spawn(async move {
            for turn in 0.. {
                let Ok((connection, _)) = listener.accept().await else {
                    return;
                };
                tokio::spawn(way.clone().forward(connection, turn));
            }
        });
        Self { url, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Way {
    pods: Api<Pod>,
    selector: String,
    port: u16,
}

impl Way {
    /// Who connects sees a connection that ends where no pod gets ready in time, or where it goes.
    async fn forward(self: Arc<Self>, mut connection: TcpStream, turn: usize) {
        let Ok(pod) = timeout(PATIENCE, self.ready(turn)).await else {
            return;
        };
        let Ok(mut forwarder) = self.pods.portforward(&pod, &[self.port]).await else {
            return;
        };
        let Some(mut stream) = forwarder.take_stream(self.port) else {
            return;
        };
        tokio::select! {
            _ = copy_bidirectional(&mut connection, &mut stream) => {}
            () = self.gone(&pod) => {}
        }
        forwarder.abort();
    }

    /// A pod that is ready, each in turn.
    async fn ready(&self, turn: usize) -> String {
        loop {
            let ready = ready(&self.pods, &self.selector).await.unwrap_or_default();
            if let Some(pod) = ready.get(turn % ready.len().max(1)) {
                return pod.clone();
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until the pod is gone or goes. A pod whose network has vanished closes nothing.
    async fn gone(&self, pod: &str) {
        loop {
            sleep(LOOK).await;
            let pod = self.pods.get_opt(pod).await;
            if pod.is_ok_and(|pod| pod.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some())) {
                return;
            }
        }
    }
}
