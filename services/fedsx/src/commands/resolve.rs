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
        policy.resolving(listed(&self.hosts)).context("--resolve")
    }
}

/// What stands between commas, as the domain's configuration reads it: `a, b,` are two.
pub(super) fn listed(texts: &[String]) -> impl Iterator<Item = String> {
    let items = texts.iter().map(|text| text.trim());
    items.filter(|item| !item.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_an_empty_end_are_no_items() {
        let texts = ["a=http://a:8000", " b=http://b:8000", ""].map(str::to_owned);
        let items: Vec<_> = listed(&texts).collect();
        assert_eq!(items, ["a=http://a:8000", "b=http://b:8000"]);
    }
}
