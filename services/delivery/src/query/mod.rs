//! The gRPC service of `fedsx/v1/delivery.proto`: the ledger, for operators.
//!
//! * [`deliveries`]: the ledger by delivery;
//! * [`peers`]: the ledger by peer, and a probe that is asked for;
//! * [`dead_letters`]: sent again, or dropped.

mod dead_letters;
mod deliveries;
mod peers;

use std::{
    str::FromStr,
    sync::{Arc, Weak},
};

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{
    DeadLettersRequest, DropDeadLettersResponse, GetDeliveryRequest, GetDeliveryResponse, GetPeerRequest,
    GetProgressRequest, GetProgressResponse, ListDeliveriesRequest, ListDeliveriesResponse, ListPeersRequest,
    ListPeersResponse, Peer, ProbePeerRequest, ProbePeerResponse, ReplayDeadLettersResponse, RetryNowRequest,
    RetryNowResponse, delivery_server::Delivery,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    shutdown::Shutdown,
    token::{Role, role},
};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use crate::{
    ledger::{Ledger, StoreError},
    log::Log,
    probe::Probes,
    wake::Wake,
};

/// Rows of a page, where the caller does not say, and at most.
const PAGE: u32 = 100;
const MAX_PAGE: u32 = 1000;

/// Answers what operators ask.
#[derive(Debug)]
pub struct DeliveryService {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) log: Log,
    /// Gone when shutdown has begun: what is sent must be recorded before the recorder ends.
    pub(crate) probes: Weak<Probes>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) tasks: Shutdown,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Delivery for DeliveryService {
    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Answer<ListDeliveriesResponse> {
        answer(self.list(admit(request)?).await)
    }

    async fn get_delivery(&self, request: Request<GetDeliveryRequest>) -> Answer<GetDeliveryResponse> {
        answer(self.show(admit(request)?).await)
    }

    async fn list_peers(&self, request: Request<ListPeersRequest>) -> Answer<ListPeersResponse> {
        answer(self.peers(admit(request)?).await)
    }

    async fn get_peer(&self, request: Request<GetPeerRequest>) -> Answer<Peer> {
        let origin = needed("origin", &admit(request)?.origin)?;
        answer(self.peer(&origin).await)
    }

    async fn probe_peer(&self, request: Request<ProbePeerRequest>) -> Answer<ProbePeerResponse> {
        answer(self.probe(admit(request)?).await)
    }

    async fn retry_now(&self, request: Request<RetryNowRequest>) -> Answer<RetryNowResponse> {
        answer(self.hurry(admit(request)?).await)
    }

    async fn replay_dead_letters(
        &self,
        request: Request<DeadLettersRequest>,
    ) -> Answer<ReplayDeadLettersResponse> {
        answer(self.replay(admit(request)?).await)
    }

    async fn drop_dead_letters(
        &self,
        request: Request<DeadLettersRequest>,
    ) -> Answer<DropDeadLettersResponse> {
        answer(self.forget(admit(request)?).await)
    }

    async fn get_progress(&self, request: Request<GetProgressRequest>) -> Answer<GetProgressResponse> {
        admit(request)?;
        let cursor = self.ledger.cursor().await.map_err(refuse)?.position;
        let pending = self.ledger.pending().await.map_err(refuse)?;
        Ok(Response::new(GetProgressResponse { cursor, pending }))
    }
}

impl DeliveryService {
    async fn hurry(&self, request: RetryNowRequest) -> Result<RetryNowResponse, Refusal> {
        let origin = optional::<Origin>("origin", &request.origin)?;
        let hurried = self.ledger.hurry(origin.as_ref()).await.map_err(refuse)?;
        if let Some(origin) = origin.filter(|_| hurried.deliveries == 0) {
            self.known(&origin).await?;
        }
        self.wake.sweep.notify_one();
        self.wake.parking.notify_one();
        Ok(RetryNowResponse {
            deliveries: hurried.deliveries,
            origins: hurried.origins,
        })
    }
}

fn answer<T>(result: Result<T, Refusal>) -> Answer<T> {
    Ok(Response::new(result?))
}

/// The ledger is the operator's and the site's.
fn admit<T>(request: Request<T>) -> Result<T, Refusal> {
    match role(&request)? {
        Role::Operator | Role::Site => Ok(request.into_inner()),
        other => Err(Refusal::new(
            Code::Forbidden,
            format!("the ledger is not for the role {}", other.as_str()),
        )),
    }
}

/// A field that may be empty.
fn optional<T: FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    text: &str,
) -> Result<Option<T>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    needed(field, text).map(Some)
}

fn needed<T: FromStr<Err: std::fmt::Display>>(field: &'static str, text: &str) -> Result<T, Refusal> {
    let malformed = |error| Refusal::new(Code::Malformed, format!("`{field}`: {error}"));
    text.parse().map_err(malformed)
}

fn each<T: FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    texts: &[String],
) -> Result<Vec<T>, Refusal> {
    texts.iter().map(|text| needed(field, text)).collect()
}

fn limit(asked: u32) -> u32 {
    if asked == 0 { PAGE } else { asked.min(MAX_PAGE) }
}

fn is_full<T>(page: &[T], limit: u32) -> bool {
    page.len() >= usize::try_from(limit).unwrap_or(usize::MAX)
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn refuse(error: StoreError) -> Refusal {
    error.refuse()
}

fn millis(time: Option<Timestamp>) -> i64 {
    time.map_or(0, Timestamp::as_millisecond)
}
