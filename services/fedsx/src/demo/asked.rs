//! What the story asks of a domain.

use std::time::Duration;

use anyhow::Context as _;
use fedsx_proto::v1::{Entry, GetRequest, PublishRequest, get_request::By};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::Value;

use crate::{commands::connect::Published, domain::Domain};

/// How long a step may take before the story counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

pub(super) async fn publish(
    domain: &Domain,
    actor: &str,
    key: &str,
    draft: Value,
) -> anyhow::Result<Published> {
    let request = PublishRequest {
        actor: actor.to_owned(),
        draft: serde_json::to_vec(&draft)?.into(),
        idempotency_key: key.to_owned(),
        ..PublishRequest::default()
    };
    let answer = domain
        .clients
        .log
        .clone()
        .publish(request)
        .await
        .map_err(Refusal::from)?;
    Published::read(answer.into_inner())
}

/// Asks until there is an answer.
pub(super) async fn eventually<T, F>(step: &str, mut ask: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<Option<T>, Refusal>>,
{
    let asking = async {
        loop {
            if let Some(found) = ask().await? {
                return Ok::<_, Refusal>(found);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(found) => found.with_context(|| format!("step \"{step}\" failed")),
        Err(_) => anyhow::bail!(
            "step \"{step}\" failed: nothing of it after {} s",
            PATIENCE.as_secs()
        ),
    }
}

pub(super) async fn entry(domain: &Domain, cid: &str) -> Result<Option<Entry>, Refusal> {
    get(domain, By::Cid(cid.to_owned())).await
}

pub(super) async fn entry_of(domain: &Domain, activity_id: &str) -> Result<Option<Entry>, Refusal> {
    get(domain, By::ActivityId(activity_id.to_owned())).await
}

async fn get(domain: &Domain, by: By) -> Result<Option<Entry>, Refusal> {
    found(domain.clients.log.clone().get(GetRequest { by: Some(by) }).await)
}

/// The answer, or none where there is no such thing yet.
pub(super) fn found<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> Result<Option<T>, Refusal> {
    match answer.map_err(Refusal::from) {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(refusal) if refusal.code == Code::NotFound => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
