//! The gRPC service of `fedsx/v1/delivery.proto`: the ledger, for operators.

use std::sync::Arc;

use fedsx_kernel::{delivery::peer::Standing, origin::Origin};
use fedsx_proto::v1::{
    DeliveryRow, GetProgressRequest, GetProgressResponse, ListDeliveriesRequest, ListDeliveriesResponse,
    ListPeersRequest, ListPeersResponse, Peer, RetryNowRequest, RetryNowResponse, delivery_server::Delivery,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    telemetry,
    token::{Role, role},
};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use crate::{
    ledger::{Filter, Ledger, LedgerError, PageToken, PeerRow, Recorded},
    wake::Wake,
};

/// Rows of a page, where the caller does not say, and at most.
const PAGE: u32 = 100;
const MAX_PAGE: u32 = 1000;

/// Answers what operators ask.
#[derive(Debug)]
pub struct DeliveryService {
    ledger: Arc<dyn Ledger>,
    wake: Arc<Wake>,
}

impl DeliveryService {
    pub(crate) fn new(ledger: Arc<dyn Ledger>, wake: Arc<Wake>) -> Self {
        Self { ledger, wake }
    }
}

#[tonic::async_trait]
impl Delivery for DeliveryService {
    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        admit(&request)?;
        let request = request.into_inner();
        let filter = Filter {
            state: optional("state", &request.state)?,
            origin: optional("origin", &request.origin)?,
            cid: (!request.cid.is_empty()).then_some(request.cid),
        };
        let after = optional::<PageToken>("page_token", &request.page_token)?;
        let limit = if request.limit == 0 {
            PAGE
        } else {
            request.limit.min(MAX_PAGE)
        };
        let rows = self.ledger.list(&filter, after, limit).await.map_err(refuse)?;
        let is_full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let last = rows.last().filter(|_| is_full);
        let next_page_token = last.map(|row| {
            PageToken {
                position: row.position,
                lane: row.lane.id,
            }
            .to_string()
        });
        Ok(Response::new(ListDeliveriesResponse {
            next_page_token: next_page_token.unwrap_or_default(),
            deliveries: rows.into_iter().map(delivery).collect(),
        }))
    }

    async fn list_peers(
        &self,
        request: Request<ListPeersRequest>,
    ) -> Result<Response<ListPeersResponse>, Status> {
        admit(&request)?;
        let cursor = self.ledger.cursor().await.map_err(refuse)?.position;
        let rows = self.ledger.list_peers().await.map_err(refuse)?;
        let peers = rows.into_iter().map(|row| peer(&row, cursor)).collect();
        Ok(Response::new(ListPeersResponse { peers }))
    }

    async fn retry_now(
        &self,
        request: Request<RetryNowRequest>,
    ) -> Result<Response<RetryNowResponse>, Status> {
        admit(&request)?;
        let origin = optional::<Origin>("origin", &request.get_ref().origin)?;
        let hurried = self.ledger.hurry(origin.as_ref()).await.map_err(refuse)?;
        self.wake.sweep.notify_one();
        self.wake.parking.notify_one();
        Ok(Response::new(RetryNowResponse {
            deliveries: hurried.deliveries,
            origins: hurried.origins,
        }))
    }

    async fn get_progress(
        &self,
        request: Request<GetProgressRequest>,
    ) -> Result<Response<GetProgressResponse>, Status> {
        admit(&request)?;
        let cursor = self.ledger.cursor().await.map_err(refuse)?.position;
        let pending = self.ledger.pending().await.map_err(refuse)?;
        Ok(Response::new(GetProgressResponse { cursor, pending }))
    }
}

/// The ledger is the operator's and the site's.
fn admit<T>(request: &Request<T>) -> Result<(), Refusal> {
    match role(request)? {
        Role::Operator | Role::Site => Ok(()),
        other => Err(Refusal::new(
            Code::Forbidden,
            format!("the ledger is not for the role {}", other.as_str()),
        )),
    }
}

/// A field that may be empty.
fn optional<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    text: &str,
) -> Result<Option<T>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let malformed = |error| Refusal::new(Code::Malformed, format!("`{field}`: {error}"));
    text.parse().map(Some).map_err(malformed)
}

fn refuse(error: LedgerError) -> Refusal {
    tracing::error!(%error, "the ledger cannot be read");
    match error {
        LedgerError::Corrupt { .. } => Refusal::new(Code::Internal, "the ledger is corrupt"),
        _ => Refusal::new(Code::Unavailable, "the ledger does not answer"),
    }
}

fn millis(time: Option<Timestamp>) -> i64 {
    time.map_or(0, Timestamp::as_millisecond)
}

fn delivery(row: Recorded) -> DeliveryRow {
    DeliveryRow {
        position: row.position,
        cid: row.cid,
        actor: row.lane.actor,
        inbox: row.lane.address,
        origin: row.lane.origin.into(),
        state: row.state.as_str().to_owned(),
        attempts: row.attempts,
        status: row.status.into(),
        cause: row.cause,
        next_at_ms: millis(row.next_at),
        trace_id: telemetry::trace_id(&row.trace),
    }
}

fn peer(row: &PeerRow, cursor: u64) -> Peer {
    let (parked_since, next_probe) = match row.peer.standing {
        Standing::Parked {
            since, next_probe, ..
        } => (Some(since), Some(next_probe)),
        _ => (None, None),
    };
    Peer {
        origin: row.origin.to_string(),
        state: row.peer.standing.as_str().to_owned(),
        pending: row.pending,
        dead: row.dead,
        failing_since_ms: millis(row.peer.failing_since),
        parked_since_ms: millis(parked_since),
        hold_until_ms: millis(row.peer.hold_until),
        next_probe_ms: millis(next_probe),
        behind: row
            .peer
            .standing
            .at()
            .map_or(0, |at| (cursor + 1).saturating_sub(at)),
    }
}
