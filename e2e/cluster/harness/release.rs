//! A domain that Helm has installed.

use std::ops::Deref;

use fedsx_e2e::{Domain, Load, Role, eventually};
use k8s_openapi::api::core::v1::Secret;

use super::{Cluster, endings::Endings, helm, tunnel::Tunnel};

/// Between two posts of an actor while nobody waits for more: pods take their time to come and go, and what they are sent
/// meanwhile has to be worked off by few cores.
const PACE: std::time::Duration = std::time::Duration::from_secs(1);
/// What the services of every pod listen at.
const GRPC: u16 = 9000;
const SOON: std::time::Duration = std::time::Duration::from_secs(60);

/// A release of the chart, with a way into its services.
pub(crate) struct Release {
    name: String,
    cluster: Cluster,
    domain: Domain,
    _tunnels: [Tunnel; 3],
}

impl Release {
    /// `helm install`, by the chart's example of that name, until every pod is ready.
    pub(crate) async fn install(cluster: &Cluster, name: &str) -> Self {
        let example = format!("charts/fed-sx/examples/{name}.yaml");
        let (repository, tag) = image("FEDSX_CLUSTER_IMAGE");
        let image = format!("image.repository={repository},image.tag={tag}");
        let more = std::env::var("FEDSX_CLUSTER_SET").unwrap_or_default();
        let install = [
            "install",
            name,
            "charts/fed-sx",
            "--values",
            &example,
            "--set-string",
            &image,
            "--set",
            &more,
        ];
        helm::must(
            &cluster.namespace,
            &[&install[..], &["--wait", "--timeout", "5m"]].concat(),
        )
        .await;

        let secret = cluster
            .api::<Secret>()
            .get(&format!("{name}-secrets"))
            .await
            .expect("the release's keys");
        let token = secret
            .data
            .unwrap_or_default()
            .remove("token-operator")
            .expect("the operator's token");
        let token = String::from_utf8(token.0).expect("a token of letters");
        let way = async |role| Tunnel::to(cluster.api(), selector(name, role), GRPC).await;
        let tunnels = [
            way(Role::Log).await,
            way(Role::Projection).await,
            way(Role::Delivery).await,
        ];
        let urls = [0, 1, 2].map(|service: usize| tunnels[service].url().to_owned());
        Self {
            name: name.to_owned(),
            cluster: cluster.clone(),
            domain: Domain::reached(&format!("https://{name}.example.org"), urls, token),
            _tunnels: tunnels,
        }
    }

    /// `helm upgrade`, with what is changed, until every pod is ready.
    pub(crate) async fn upgrade(&self, changed: &[&str]) {
        let upgrade = [
            "upgrade",
            &self.name,
            "charts/fed-sx",
            "--reset-then-reuse-values",
        ];
        let wait = ["--wait", "--timeout", "5m"];
        helm::must(&self.cluster.namespace, &[&upgrade[..], &wait, changed].concat()).await;
    }

    /// `helm test`, which must pass.
    pub(crate) async fn test(&self) {
        let test = ["test", &self.name, "--logs", "--timeout", "5m"];
        eprintln!("{}", helm::must(&self.cluster.namespace, &test).await);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Who speaks in its bundle from the first day.
    pub(crate) fn speaker(&self) -> &'static str {
        if self.name == "blog" { "author" } else { "main" }
    }

    /// The name of a role's Deployment.
    pub(crate) fn deployment(&self, role: Role) -> String {
        format!("{}-{}", self.name, role.as_str())
    }

    /// What selects a role's pods.
    pub(crate) fn selector(&self, role: Role) -> String {
        selector(&self.name, role)
    }

    pub(crate) async fn pods(&self, role: Role) -> Vec<String> {
        self.cluster.ready_pods(&self.selector(role)).await
    }

    /// Kills a role's pod as a node's power cut would, while another comes up, and waits for that.
    pub(crate) async fn kill(&self, role: Role) {
        let before = self.pods(role).await;
        let killed = before.first().expect("a pod");
        self.cluster.delete_pod(killed, true).await;
        eventually(&format!("another is there for {killed}"), SOON, async || {
            let ready = self.pods(role).await;
            let replaced = !ready.contains(killed) && ready.len() >= before.len();
            replaced.then_some(()).ok_or(format!("{ready:?}"))
        })
        .await;
    }

    /// `kubectl rollout restart` of a role, each of whose pods has to end by itself, in time.
    pub(crate) async fn restart(&self, role: Role) {
        let before = self.pods(role).await;
        let endings = Endings::of(self.cluster.api(), &self.selector(role)).await;
        self.cluster.restart(&self.deployment(role)).await;
        let codes = eventually(&format!("{before:?} have ended"), SOON, async || {
            let codes = endings.seen();
            let all = before.iter().all(|pod| codes.contains_key(pod));
            all.then_some(codes.clone()).ok_or(format!("{codes:?}"))
        })
        .await;
        assert!(
            before.iter().all(|pod| codes.get(pod) == Some(&0)),
            "not all of {before:?} ended by themselves: {codes:?}"
        );
    }

    /// `kubectl exec deploy/<release>-toolbox -- fedsx …`; what it says.
    pub(crate) async fn in_toolbox(&self, command: &[&str]) -> String {
        let selector = format!(
            "app.kubernetes.io/instance={},app.kubernetes.io/component=toolbox",
            self.name
        );
        let pods = self.cluster.ready_pods(&selector).await;
        let toolbox = pods.first().expect("a toolbox");
        let said = self.cluster.exec(toolbox, &[&["fedsx"], command].concat()).await;
        said.unwrap_or_else(|error| panic!("fedsx {}: {error}", command.join(" ")))
    }

    /// Actors of this domain that an actor of another follows, made now.
    pub(crate) async fn authors(&self, names: impl Iterator<Item = String>, follower: &Self) -> Vec<String> {
        let mut authors = Vec::new();
        for name in names {
            self.json(&["actor", "create", &name, "--type", "person"]).await;
            let actor = self.actor(&name);
            follower
                .run(&["follow", &actor, "--actor", follower.speaker()])
                .await
                .assert_code(0);
            authors.push(name);
        }
        for name in &authors {
            let follower = follower.actor(follower.speaker());
            eventually(&format!("{follower} follows {name}"), SOON, async || {
                let rows = self.followers(name).await;
                rows.iter()
                    .any(|(who, state)| *who == follower && state == "accepted")
                    .then_some(())
                    .ok_or(format!("{rows:?}"))
            })
            .await;
        }
        authors
    }

    /// Publishes as each of these actors until it is told to finish.
    pub(crate) fn loads<'a>(&self, actors: impl IntoIterator<Item = &'a String>) -> Vec<Load> {
        actors
            .into_iter()
            .map(|actor| Load::every(PACE, &self.domain, actor))
            .collect()
    }
}

impl Deref for Release {
    type Target = Domain;

    fn deref(&self) -> &Domain {
        &self.domain
    }
}

fn selector(release: &str, role: Role) -> String {
    let role = role.as_str();
    format!("app.kubernetes.io/instance={release},app.kubernetes.io/component={role}")
}

/// Repository and tag of an image that the environment names, `localhost/fed-sx:1`.
pub(crate) fn image(variable: &str) -> (String, String) {
    let name = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names no image"));
    let (repository, tag) = name
        .rsplit_once(':')
        .unwrap_or_else(|| panic!("{variable} has no tag"));
    (repository.to_owned(), tag.to_owned())
}
