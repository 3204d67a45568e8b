//! What the demo and the self-test ask of a domain.

use std::time::Duration;

use anyhow::Context as _;
use fedsx_proto::v1::{
    DeliveryRow, Entry, GetRequest, ListDeliveriesRequest, PublishRequest, PublishResponse, get_request::By,
    publish_response::Outcome,
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::Value;

use crate::domain::Clients;

const POLL: Duration = Duration::from_millis(20);

/// Where a draft went.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Published {
    pub(crate) id: String,
    pub(crate) cid: String,
    pub(crate) position: u64,
    /// The idempotency key was there before; nothing new was written.
    pub(crate) duplicate: bool,
}

impl Published {
    fn read(answer: PublishResponse) -> anyhow::Result<Self> {
        match answer.outcome {
            Some(Outcome::Appended(at)) => Ok(Self {
                id: at.activity_id,
                cid: at.cid,
                position: at.position,
                duplicate: false,
            }),
            Some(Outcome::Duplicate(at)) => Ok(Self {
                id: at.activity_id,
                cid: at.cid,
                position: at.position,
                duplicate: true,
            }),
            other => anyhow::bail!("the log answered {other:?}"),
        }
    }
}

/// Publishes a draft; the same key again publishes nothing.
pub(crate) async fn publish(
    clients: &Clients,
    actor: &str,
    key: &str,
    draft: &Value,
) -> anyhow::Result<Published> {
    let request = PublishRequest {
        actor: actor.to_owned(),
        draft: serde_json::to_vec(draft)?.into(),
        idempotency_key: key.to_owned(),
        ..PublishRequest::default()
    };
    let answer = clients.log.clone().publish(request).await;
    Published::read(answer.map_err(Refusal::from)?.into_inner())
}

/// Asks until there is an answer; none: there was not within this time.
pub(crate) async fn within<T, E>(
    patience: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let asking = async {
        loop {
            if let Some(found) = ask().await? {
                return Ok(Some(found));
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(patience, asking).await.unwrap_or(Ok(None))
}

/// The same, where no answer means that a step has failed.
pub(crate) async fn eventually<T>(
    step: &str,
    patience: Duration,
    ask: impl AsyncFnMut() -> Result<Option<T>, Refusal>,
) -> anyhow::Result<T> {
    let found = within(patience, ask).await;
    let found = found.with_context(|| format!("step \"{step}\" failed"))?;
    found.with_context(|| {
        format!(
            "step \"{step}\" failed: nothing of it after {} s",
            patience.as_secs()
        )
    })
}

pub(crate) async fn entry(clients: &Clients, cid: &str) -> Result<Option<Entry>, Refusal> {
    get(clients, By::Cid(cid.to_owned())).await
}

pub(crate) async fn entry_of(clients: &Clients, activity_id: &str) -> Result<Option<Entry>, Refusal> {
    get(clients, By::ActivityId(activity_id.to_owned())).await
}

async fn get(clients: &Clients, by: By) -> Result<Option<Entry>, Refusal> {
    found(clients.log.clone().get(GetRequest { by: Some(by) }).await)
}

/// The deliveries of an activity, the first thousand.
pub(crate) async fn deliveries(clients: &Clients, cid: &str) -> Result<Vec<DeliveryRow>, Refusal> {
    let request = ListDeliveriesRequest {
        cid: cid.to_owned(),
        limit: 1000,
        ..ListDeliveriesRequest::default()
    };
    let answer = clients.delivery.clone().list_deliveries(request).await?;
    Ok(answer.into_inner().deliveries)
}

/// The answer, or none where there is no such thing yet.
pub(crate) fn found<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> Result<Option<T>, Refusal> {
    match answer.map_err(Refusal::from) {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(refusal) if refusal.code == Code::NotFound => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
