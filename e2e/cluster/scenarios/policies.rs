//! NetworkPolicies: exactly the arrows of the design's table.

use std::{collections::BTreeSet, time::Duration};

use fedsx_e2e::eventually;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::harness::{Cluster, Stage};

const SOON: Duration = Duration::from_secs(90);

/// Whom each role of the blog may call, of those that answer in this namespace. Whoever is not listed: nobody.
const ARROWS: [(&str, &[&str]); 7] = [
    (
        "gateway",
        &[
            "blog-log:9000",
            "blog-projection:9000",
            "events-gateway:8000",
            "jaeger:4317",
        ],
    ),
    ("log", &["postgres:5432", "jaeger:4317"]),
    ("projection", &["blog-log:9000", "postgres:5432", "jaeger:4317"]),
    (
        "delivery",
        &[
            "blog-log:9000",
            "postgres:5432",
            "rabbitmq:5672",
            "events-gateway:8000",
            "jaeger:4317",
        ],
    ),
    (
        "toolbox",
        &[
            "blog-log:9000",
            "blog-projection:9000",
            "blog-delivery:9000",
            "events-gateway:8000",
            "jaeger:16686",
        ],
    ),
    (
        "self-test",
        &[
            "blog-gateway:8000",
            "blog-log:9000",
            "blog-projection:9000",
            "blog-delivery:9000",
            "jaeger:16686",
        ],
    ),
    // A pod of nobody's, which is free to go where those let it who are called.
    (
        "stranger",
        &[
            "blog-gateway:8000",
            "events-gateway:8000",
            "postgres:5432",
            "rabbitmq:5672",
            "jaeger:4317",
            "jaeger:16686",
        ],
    ),
];

/// Everything that answers, with pods behind it. The health ports are reached by nobody but the kubelet.
const ANSWERS: [&str; 17] = [
    "blog-gateway:8000",
    "blog-gateway:9100",
    "blog-log:9000",
    "blog-log:9100",
    "blog-projection:9000",
    "blog-projection:9100",
    "blog-delivery:9000",
    "blog-delivery:9100",
    "events-gateway:8000",
    "events-gateway:9100",
    "events-log:9000",
    "events-projection:9000",
    "events-delivery:9000",
    "postgres:5432",
    "rabbitmq:5672",
    "jaeger:4317",
    "jaeger:16686",
];

pub(crate) async fn a_stranger_is_refused_where_the_table_has_no_arrow(stage: &'static Stage) {
    let targets = targets(&stage.cluster).await;
    for (from, arrows) in ARROWS {
        let caller = Caller::start(&stage.cluster, from).await;
        let expected: BTreeSet<_> = arrows.iter().map(|to| (*to).to_owned()).collect();
        // A policy reaches a new pod's node a moment after the pod.
        eventually(&format!("the arrows from {from}"), SOON, async || {
            let reached = caller.reaches(&targets).await;
            let (more, less): (Vec<_>, Vec<_>) = (
                reached.difference(&expected).collect(),
                expected.difference(&reached).collect(),
            );
            (more.is_empty() && less.is_empty())
                .then_some(())
                .ok_or(format!("{from} reaches {more:?} too, and not {less:?}"))
        })
        .await;
        caller.end().await;
    }
}

/// Each name with an address and port of a pod behind it: a headless Service has none for the health port.
async fn targets(cluster: &Cluster) -> Vec<(String, String, String)> {
    let mut targets = Vec::new();
    for target in ANSWERS {
        let (name, port) = target.split_once(':').expect("a port");
        let selector = match name.split_once('-') {
            Some((release, role)) => {
                format!("app.kubernetes.io/instance={release},app.kubernetes.io/component={role}")
            }
            None => format!("app.kubernetes.io/name={name}"),
        };
        let address = cluster.addresses(&selector).await.into_values().next();
        let address = address.unwrap_or_else(|| panic!("no {name}"));
        targets.push((target.to_owned(), address, port.to_owned()));
    }
    targets
}

/// A pod that looks like one of the blog's roles to a policy.
struct Caller {
    cluster: Cluster,
    name: String,
}

impl Caller {
    /// It is never ready, so that no Service sends anybody to it. PostgreSQL's image has a shell.
    async fn start(cluster: &Cluster, role: &str) -> Self {
        let image = std::env::var("FEDSX_CLUSTER_POSTGRES")
            .unwrap_or_else(|_| "docker.io/library/postgres:17".to_owned());
        let name = format!("caller-{role}");
        let labels = match role {
            "stranger" => json!({}),
            role => json!({
                "app.kubernetes.io/name": "fed-sx",
                "app.kubernetes.io/instance": "blog",
                "app.kubernetes.io/component": role,
            }),
        };
        let security = json!({
            "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 999,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        });
        let pod = json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "caller", "image": image, "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "infinity"],
                    "readinessProbe": {"exec": {"command": ["false"]}},
                    "securityContext": security,
                }],
            },
        });
        let pods: Api<Pod> = cluster.api();
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        pods.create(&PostParams::default(), &pod).await.expect("a pod");
        eventually(&format!("{name} runs"), SOON, async || {
            let pod = pods.get(&name).await.map_err(|error| error.to_string())?;
            let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
            (phase == "Running").then_some(()).ok_or(phase)
        })
        .await;
        let cluster = cluster.clone();
        Self { cluster, name }
    }

    /// Which of these let it connect.
    async fn reaches(&self, targets: &[(String, String, String)]) -> BTreeSet<String> {
        let tries = targets.iter().map(|(name, address, port)| {
            format!("(timeout 2 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo {name}) &\n")
        });
        let script = format!("{}wait", tries.collect::<String>());
        let said = self.cluster.exec(&self.name, &["bash", "-c", &script]).await;
        said.expect("a shell").lines().map(str::to_owned).collect()
    }

    async fn end(self) {
        self.cluster.delete_pod(&self.name, false).await;
    }
}
