//! Seeding: the domain's own actor and its bundle's, once, however often the domain starts.

use anyhow::Context as _;
use fedsx_kernel::actor::Kind;
use fedsx_proto::v1::{PublishRequest, publish_response::Outcome};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::Value;

use super::{Bundle, LogClient};
use crate::drafts;

/// Publishes what the log does not have yet. Keys make it idempotent, across restarts and replicas.
pub(super) async fn seed(mut log: LogClient, bundle: &Bundle) -> anyhow::Result<()> {
    let base = drafts::create_actor(
        None,
        Kind::Service,
        Some(&bundle.title),
        Some(&bundle.summary),
        false,
    );
    publish(&mut log, "genesis/base", base)
        .await
        .context("the domain's own actor")?;
    for actor in &bundle.actors {
        let (title, summary) = (actor.display_name.as_deref(), actor.summary.as_deref());
        let draft = drafts::create_actor(Some(&actor.name), actor.kind, title, summary, false);
        publish(&mut log, &format!("genesis/actor/{}", actor.name), draft)
            .await
            .with_context(|| format!("the actor {}", actor.name))?;
    }
    Ok(())
}

async fn publish(log: &mut LogClient, key: &str, draft: Value) -> anyhow::Result<()> {
    let request = PublishRequest {
        draft: serde_json::to_vec(&draft)?.into(),
        idempotency_key: key.to_owned(),
        ..PublishRequest::default()
    };
    match log.publish(request).await.map_err(Refusal::from) {
        Ok(answer) => match answer.into_inner().outcome {
            Some(Outcome::Appended(_) | Outcome::Duplicate(_)) => Ok(()),
            other => anyhow::bail!("the log answered {other:?}"),
        },
        // An operator made an actor of this name before the bundle named it.
        Err(refusal) if refusal.code == Code::AlreadyExists => Ok(()),
        Err(refusal) => Err(refusal.into()),
    }
}
