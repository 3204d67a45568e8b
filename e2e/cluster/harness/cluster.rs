//! The cluster by its API.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use fedsx_e2e::eventually;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{Namespace, Node, PersistentVolume, Pod},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{AttachParams, DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::io::AsyncReadExt as _;

/// Images are there already; what takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(240);

/// A namespace of a cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Cluster {
    /// The one that `KUBECONFIG` names, with a new namespace that lets restricted pods in alone.
    pub(crate) async fn with_namespace(name: &str) -> Self {
        let client = Client::try_default().await.expect("a cluster");
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let namespace = json!({"metadata": {"name": name, "labels": labels}});
        let namespace: Namespace = serde_json::from_value(namespace).expect("a namespace");
        let namespaces = Api::all(client.clone());
        let made = namespaces.create(&PostParams::default(), &namespace).await;
        made.expect("a namespace");
        Self {
            client,
            namespace: name.to_owned(),
        }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType: Default>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// The namespace and all that is in it go.
    pub(crate) async fn delete(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let deleted = namespaces.delete(&self.namespace, &DeleteParams::default()).await;
        deleted.expect("the namespace");
        eventually("the namespace is gone", PATIENCE, async || {
            match namespaces.get_opt(&self.namespace).await {
                Ok(None) => Ok(()),
                there => Err(format!("{there:?}")),
            }
        })
        .await;
    }

    /// Deletes a volume, if there is such.
    pub(crate) async fn delete_volume(&self, name: &str) {
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        match volumes.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            deleted => {
                deleted.expect("the volume");
            }
        }
    }

    /// The names of a kind's objects of these labels.
    pub(crate) async fn names<K>(&self, selector: &str) -> Vec<String>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType: Default> + Clone + DeserializeOwned + Debug,
    {
        let listed = self
            .api::<K>()
            .list(&ListParams::default().labels(selector))
            .await;
        listed
            .expect("a list")
            .iter()
            .map(|object| object.name_any())
            .collect()
    }

    pub(crate) async fn ready_pods(&self, selector: &str) -> Vec<String> {
        ready(&self.api(), selector).await.expect("a list of pods")
    }

    /// Waits until a Deployment runs what it is to run, and nothing else.
    pub(crate) async fn rolled_out(&self, name: &str) {
        let deployments = self.api::<Deployment>();
        eventually(&format!("{name} is rolled out"), PATIENCE, async || {
            let deployment = deployments.get(name).await.map_err(|error| error.to_string())?;
            let wanted = deployment
                .spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .unwrap_or(1);
            let status = deployment.status.clone().unwrap_or_default();
            let seen = status.observed_generation >= deployment.metadata.generation;
            let [all, updated, available] = [
                status.replicas,
                status.updated_replicas,
                status.available_replicas,
            ]
            .map(Option::unwrap_or_default);
            let done = seen && all == wanted && updated == wanted && available == wanted;
            done.then_some(())
                .ok_or_else(|| format!("{wanted} wanted, {all} there, {updated} new, {available} ready"))
        })
        .await;
    }

    /// Waits for every Deployment of a release.
    pub(crate) async fn all_rolled_out(&self, release: &str) {
        for name in self
            .names::<Deployment>(&format!("app.kubernetes.io/instance={release}"))
            .await
        {
            self.rolled_out(&name).await;
        }
    }

    /// `kubectl scale`, until it is over.
    pub(crate) async fn scale(&self, deployment: &str, replicas: u32) {
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let scaled = self
            .api::<Deployment>()
            .patch_scale(deployment, &PatchParams::default(), &scale)
            .await;
        scaled.unwrap_or_else(|error| panic!("{deployment}: {error}"));
        self.rolled_out(deployment).await;
    }

    /// `kubectl rollout restart`, until it is over.
    pub(crate) async fn restart(&self, deployment: &str) {
        let at = json!({"kubectl.kubernetes.io/restartedAt": format!("{:?}", std::time::SystemTime::now())});
        let template = json!({"metadata": {"annotations": at}});
        let restart = Patch::Merge(json!({"spec": {"template": template}}));
        let restarted = self
            .api::<Deployment>()
            .patch(deployment, &PatchParams::default(), &restart)
            .await;
        restarted.unwrap_or_else(|error| panic!("{deployment}: {error}"));
        self.rolled_out(deployment).await;
    }

    /// `kubectl delete pod`; with force, the pod's processes get no word and no time.
    pub(crate) async fn delete_pod(&self, name: &str, force: bool) {
        let parameters = DeleteParams {
            grace_period_seconds: force.then_some(0),
            ..DeleteParams::default()
        };
        let deleted = self.api::<Pod>().delete(name, &parameters).await;
        deleted.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// `kubectl drain`: nothing new comes to the node, and what is there is asked to leave as PodDisruptionBudgets allow.
    /// Returns the pods that left.
    pub(crate) async fn drain(&self, node: &str) -> Vec<String> {
        self.nodes().cordon(node).await.expect("a node");
        let pods = self.api::<Pod>();
        let there = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let mut left = Vec::new();
        eventually(&format!("{node} is drained"), PATIENCE, async || {
            let remaining = pods.list(&there).await.map_err(|error| error.to_string())?;
            let remaining: Vec<_> = remaining.iter().filter(|pod| lives(pod)).collect();
            for pod in &remaining {
                let name = pod.name_any();
                if pod.metadata.deletion_timestamp.is_some() {
                    continue;
                }
                // 429: a budget says not yet.
                if pods.evict(&name, &EvictParams::default()).await.is_ok() {
                    left.push(name);
                }
            }
            let names: Vec<_> = remaining.iter().map(|pod| pod.name_any()).collect();
            names.is_empty().then_some(()).ok_or(format!("{names:?}"))
        })
        .await;
        left
    }

    /// `kubectl exec`: what the command said, or what it complained of.
    pub(crate) async fn exec(&self, pod: &str, command: &[&str]) -> Result<String, String> {
        let attached = self
            .api::<Pod>()
            .exec(pod, command.iter().copied(), &AttachParams::default())
            .await;
        let mut attached = attached.map_err(|error| error.to_string())?;
        let (mut said, mut complained) = (String::new(), String::new());
        let (mut stdout, mut stderr) = (
            attached.stdout().expect("its output"),
            attached.stderr().expect("its errors"),
        );
        let read = tokio::try_join!(
            stdout.read_to_string(&mut said),
            stderr.read_to_string(&mut complained)
        );
        read.map_err(|error| error.to_string())?;
        let status = attached.take_status().expect("its status").await;
        if status.and_then(|status| status.status).as_deref() == Some("Success") {
            Ok(said)
        } else {
            Err(format!("{complained}{said}"))
        }
    }

    /// What tells a pod from the one of the same name before it; none while there is none.
    pub(crate) async fn uid_of(&self, pod: &str) -> Option<String> {
        self.api::<Pod>().get_opt(pod).await.expect("an answer")?.uid()
    }

    /// Where a pod runs.
    pub(crate) async fn node_of(&self, pod: &str) -> String {
        let pod = self.api::<Pod>().get(pod).await.expect("a pod");
        pod.spec.and_then(|spec| spec.node_name).expect("a node")
    }

    /// Where each ready pod of these labels answers.
    pub(crate) async fn addresses(&self, selector: &str) -> BTreeMap<String, String> {
        let listed = self
            .api::<Pod>()
            .list(&ListParams::default().labels(selector))
            .await;
        let address = |pod: &Pod| Some((pod.name_any(), pod.status.as_ref()?.pod_ip.clone()?));
        listed
            .expect("a list of pods")
            .iter()
            .filter(|pod| is_ready(pod))
            .filter_map(address)
            .collect()
    }
}

/// The names of the ready pods of these labels.
pub(crate) async fn ready(pods: &Api<Pod>, selector: &str) -> Result<Vec<String>, kube::Error> {
    let listed = pods.list(&ListParams::default().labels(selector)).await?;
    Ok(listed
        .iter()
        .filter(|pod| is_ready(pod))
        .map(|pod| pod.name_any())
        .collect())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready =
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"));
    ready && pod.metadata.deletion_timestamp.is_none()
}

/// Whether a pod has something to lose: no test that is over.
fn lives(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}
