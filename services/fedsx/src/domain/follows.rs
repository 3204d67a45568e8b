//! The follows of the configuration: each is asked for until it is answered, also of a peer that was down at boot. One that
//! was undone by hand is not asked for again.

use std::time::Duration;

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{
    DescribeRequest, GetPeerRequest, GetRowRequest, ListDeliveriesRequest, PublishRequest,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    shutdown::Shutdown,
};
use serde::Deserialize;

use super::Clients;
use crate::drafts;

/// How long an answer is waited for before a delivered Follow is repeated; doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// How soon a domain that is not ready yet is asked again.
const SOON: Duration = Duration::from_secs(2);

/// Keeps each follow in a task of its own until it is answered.
pub(super) fn keep(shutdown: &Shutdown, clients: &Clients, origin: &Origin, targets: &[String]) {
    for target in targets {
        let (clients, base, stop) = (clients.clone(), origin.base(), shutdown.token());
        let target = target.clone();
        shutdown.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = until_answered(clients, &base, &target) => {}
            }
        });
    }
}

/// What the view `following` says of a follow.
#[derive(Deserialize)]
struct Row {
    state: String,
    follow_cid: String,
}

async fn until_answered(mut clients: Clients, base: &str, target: &str) {
    let mut patience = FIRST;
    loop {
        let wait = match look(&mut clients, base, target).await {
            Ok(State::Answered(state)) => {
                return tracing::info!(%target, state, "the configured follow is answered");
            }
            Ok(State::Underway) => SOON * 5,
            Ok(State::Missing { last }) => {
                if let Err(refusal) = ask(&mut clients, target, &last).await {
                    tracing::warn!(%target, error = %refusal, "the follow could not be published");
                }
                let wait = patience;
                patience = (patience * 2).min(LONGEST);
                wait
            }
            Err(refusal) => {
                tracing::debug!(%target, error = %refusal, "the follow's state cannot be read yet");
                SOON
            }
        };
        tokio::time::sleep(wait).await;
    }
}

enum State {
    Answered(String),
    /// Asked for, and still on its way.
    Underway,
    /// Never asked for, or asked for without an answer: the last Follow's CID, or nothing.
    Missing {
        last: String,
    },
}

async fn look(clients: &mut Clients, base: &str, target: &str) -> Result<State, Refusal> {
    let head = clients.log.describe(DescribeRequest {}).await?.into_inner().head;
    let request = GetRowRequest {
        view: "following".into(),
        key: format!("{base} {target}"),
        at_least: head,
    };
    let row = match clients.projection.get_row(request).await.map_err(Refusal::from) {
        Ok(answer) => answer
            .into_inner()
            .row
            .and_then(|row| serde_json::from_slice::<Row>(&row.value).ok()),
        Err(refusal) if refusal.code == Code::NotFound => None,
        Err(refusal) => return Err(refusal),
    };
    match row {
        None => Ok(State::Missing { last: String::new() }),
        Some(row) if row.state != "requested" => Ok(State::Answered(row.state)),
        Some(row) => underway(clients, target, row.follow_cid).await,
    }
}

/// A Follow that delivery still owes the peer is not repeated: the backlog of a peer that is down stays as it is.
async fn underway(clients: &mut Clients, target: &str, last: String) -> Result<State, Refusal> {
    let origin = Origin::of(target).map(String::from).unwrap_or_default();
    let pending = ListDeliveriesRequest {
        cid: last.clone(),
        states: vec!["pending".into()],
        limit: 1,
        ..Default::default()
    };
    let waits = !clients
        .delivery
        .list_deliveries(pending)
        .await?
        .into_inner()
        .deliveries
        .is_empty();
    let peer = clients.delivery.get_peer(GetPeerRequest { origin }).await;
    let away = match peer.map_err(Refusal::from) {
        Ok(peer) => peer.into_inner().state != "live",
        Err(refusal) if refusal.code == Code::NotFound => false,
        Err(refusal) => return Err(refusal),
    };
    Ok(if waits || away {
        State::Underway
    } else {
        State::Missing { last }
    })
}

/// Asks by a key that says what was asked before, so that replicas which see the same ask once.
async fn ask(clients: &mut Clients, target: &str, last: &str) -> Result<(), Refusal> {
    let draft = serde_json::to_vec(&drafts::follow(target)).unwrap_or_default();
    let request = PublishRequest {
        draft: draft.into(),
        idempotency_key: format!("follow/{target}/{last}"),
        ..PublishRequest::default()
    };
    clients.log.publish(request).await?;
    Ok(())
}
