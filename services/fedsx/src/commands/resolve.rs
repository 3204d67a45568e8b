//! `--resolve`: where hosts are reached inside a cluster.

use anyhow::Context as _;
use clap::Args;
use fedsx_runtime::fetch::Policy;

#[derive(Debug, Args)]
pub(super) struct Resolve {
    /// A host that is reached inside the cluster, events.example.org=http://events-gateway.events.svc:8000 or
    /// …=https://…:8443?ca=FILE; its certificate is for its public name all the same. Repeatable
    #[arg(
        long = "resolve",
        env = "FEDSX_RESOLVE",
        value_delimiter = ',',
        value_name = "HOST=URL"
    )]
    hosts: Vec<String>,
}

impl Resolve {
    /// The policy that reaches these hosts there.
    pub(super) fn by(&self, policy: Policy) -> anyhow::Result<Policy> {
        policy.resolving(self.hosts.iter().cloned()).context("--resolve")
    }
}
