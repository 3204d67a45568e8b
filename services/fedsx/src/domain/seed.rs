//! Seeding: the domain's own actor and its bundle's definitions, actors, grants and objects, once, however often the domain
//! starts.

use std::collections::BTreeSet;

use anyhow::Context as _;
use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::ListDefinitionsRequest;
use fedsx_runtime::code::Refusal;

use super::LogClient;
use crate::genesis::{self, Bundle, Done, Known, Manifest, Manner, Named};

/// Publishes what the log has never had. Keys make it idempotent, across restarts, replicas and versions.
pub(super) async fn seed(
    mut log: LogClient,
    origin: &Origin,
    bundle: &Bundle,
    manifest: &Manifest,
) -> anyhow::Result<()> {
    genesis::create_base(&mut log, manifest)
        .await
        .context("the domain's own actor")?;
    let definitions = log.list_definitions(ListDefinitionsRequest::default()).await;
    let definitions = definitions.map_err(Refusal::from)?.into_inner();
    // Which actors there are is the log's to say: the same key again creates nothing.
    let objects = genesis::seeded(&mut log, bundle).await?;
    let known = Known::new(definitions, BTreeSet::new(), objects);
    // A domain that ran yesterday does so today: names that nobody declares are an operator's to mend.
    if let Err(problems) =
        bundle.declared(|named| named.what == Named::Actor || known.declares(named, origin))
    {
        tracing::warn!(%problems, "the bundle names what nobody declares");
    }
    let steps = genesis::steps(bundle, &known, origin);
    for (step, done) in genesis::apply(&log, origin, steps, Manner::Once).await? {
        let (kind, name) = (step.kind(), step.name());
        match done {
            Done::Published(position) => tracing::info!(kind, name, position, "seeded"),
            Done::Found => {}
            Done::Left => tracing::info!(
                kind,
                name,
                "not seeded again: it was in place, and an operator has decided otherwise since; `fedsx genesis apply` \
                 puts it back"
            ),
        }
    }
    Ok(())
}
