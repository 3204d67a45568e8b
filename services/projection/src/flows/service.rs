//! The gRPC service of `fedsx/v1/flows.proto`.

use std::collections::BTreeSet;

use fedsx_kernel::{flow::Status, json};
use fedsx_proto::v1::{
    self, CancelFlowRequest, FlowMoved, FlowRunner, GetFlowRequest, GetFlowResponse, ListBehavioursRequest,
    ListBehavioursResponse, ListFlowsRequest, ListFlowsResponse, ResumeFlowRequest, RetryFlowRequest,
    StartFlowRequest, flows_server::Flows,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    token,
};
use serde_json::Value;
use tonic::{Request, Response, Status as GrpcStatus};

use super::{
    Engine, FlowError,
    authority::{Wish, admit},
    moves::{Move, refuse, unknown},
    row, shown,
    trigger::InEffect,
};
use crate::store::flows::{FlowQuery, FlowRow};

/// Flows of a page where the request does not say, and at most.
const PAGE: u32 = 100;
const MAX_PAGE: u32 = 1000;
/// Fewest letters of the beginning of an id.
const PREFIX: usize = 4;

/// Answers `fedsx/v1/flows.proto`.
#[derive(Debug, Clone)]
pub struct FlowService {
    pub(crate) engine: Engine,
}

impl FlowService {
    pub(crate) async fn list(&self, request: ListFlowsRequest) -> Result<ListFlowsResponse, Refusal> {
        let limit = match request.limit {
            0 => PAGE,
            1..=MAX_PAGE => request.limit,
            _ => return Err(malformed(format!("`limit` is above {MAX_PAGE}"))),
        };
        let statuses = request.statuses.iter().map(|word| {
            Status::parse(word).ok_or_else(|| {
                let words: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
                malformed(format!("`status` is none of {}", words.join(", ")))
            })
        });
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let query = FlowQuery {
            statuses: statuses.collect::<Result<_, _>>()?,
            name: some(request.behaviour),
            activity: some(request.activity),
            object: some(request.object),
            public_only: request.public_only,
            prefix: prefix(request.prefix)?,
            after: some(request.page).map(|page| place(&page)).transpose()?,
            limit,
        };
        let rows = self
            .engine
            .store
            .list_flows(&query)
            .await
            .map_err(|error| error.refuse())?;
        let next = match rows.last() {
            Some(last) if rows.len() == usize::try_from(limit).unwrap_or(usize::MAX) => {
                format!("{}.{}", last.position, last.id)
            }
            _ => String::new(),
        };
        let able = self.able().await?;
        let mut flows = Vec::with_capacity(rows.len());
        for row in &rows {
            flows.push(self.flow(row, &able, false).await?);
        }
        Ok(ListFlowsResponse { flows, next })
    }

    /// A flow; a `brief` answer has no transitions and no values, and reads nothing of the log.
    pub(crate) async fn get(&self, id: &str, brief: bool) -> Result<GetFlowResponse, Refusal> {
        // What has just been recorded may be on the way to the store.
        self.engine.behind.flush().await;
        let rows = self
            .engine
            .store
            .flows(&[id])
            .await
            .map_err(|error| error.refuse())?;
        let row = match rows.into_iter().next() {
            Some(row) => row,
            None if brief => return Err(unknown(id)),
            None => {
                let run = self.engine.refold(id).await.map_err(refuse)?;
                run.ok_or_else(|| unknown(id))?.row()
            }
        };
        if brief {
            return Ok(GetFlowResponse {
                flow: Some(self.flow(&row, &self.able().await?, false).await?),
                transitions: Vec::new(),
            });
        }
        let transitions = self.engine.transitions(id, 0).await.map_err(refuse)?;
        Ok(GetFlowResponse {
            flow: Some(self.flow(&row, &self.able().await?, true).await?),
            transitions: shown::latest(transitions),
        })
    }

    pub(crate) async fn behaviours(&self) -> Result<ListBehavioursResponse, Refusal> {
        let kept = self
            .engine
            .store
            .behaviours()
            .await
            .map_err(|error| error.refuse())?;
        let mut in_effect = InEffect::default();
        for kept in kept {
            if let Some(record) = self.engine.records.keep(&kept) {
                in_effect.add(kept.position, record);
            }
        }
        let runners = self
            .engine
            .store
            .runners()
            .await
            .map_err(|error| error.refuse())?;
        let runners = runners
            .into_iter()
            .map(|(name, kinds)| FlowRunner { name, kinds });
        Ok(ListBehavioursResponse {
            behaviours: in_effect
                .now()
                .map(|(position, record)| shown::behaviour(position, record))
                .collect(),
            runners: runners.collect(),
        })
    }

    pub(crate) async fn start(&self, request: StartFlowRequest) -> Result<FlowMoved, Refusal> {
        let started = self
            .engine
            .start_flow(&request.behaviour, &request.activity)
            .await;
        let (row, existed) = started?;
        self.moved(&row, existed).await
    }

    pub(crate) async fn resume(&self, request: ResumeFlowRequest) -> Result<FlowMoved, Refusal> {
        let ResumeFlowRequest { id, step, value } = request;
        let value = match value.is_empty() {
            true => Value::Null,
            false => json::parse(&value).map_err(|error| malformed(format!("`value`: {error}")))?,
        };
        self.move_flow(&id, Move::Resume { step, value }).await
    }

    pub(crate) async fn retry(&self, request: RetryFlowRequest) -> Result<FlowMoved, Refusal> {
        let RetryFlowRequest { id, step } = request;
        self.move_flow(&id, Move::Retry { step }).await
    }

    pub(crate) async fn cancel(&self, request: CancelFlowRequest) -> Result<FlowMoved, Refusal> {
        let CancelFlowRequest { id, reason } = request;
        self.move_flow(&id, Move::Cancel { reason }).await
    }

    async fn move_flow(&self, id: &str, wanted: Move) -> Result<FlowMoved, Refusal> {
        let row = self.engine.move_flow(id, &wanted).await?;
        self.moved(&row, false).await
    }

    async fn moved(&self, row: &FlowRow, existed: bool) -> Result<FlowMoved, Refusal> {
        Ok(FlowMoved {
            flow: Some(self.flow(row, &self.able().await?, true).await?),
            existed,
        })
    }

    /// What some runner can do.
    async fn able(&self) -> Result<BTreeSet<String>, Refusal> {
        let runners = self
            .engine
            .store
            .runners()
            .await
            .map_err(|error| error.refuse())?;
        Ok(runners.into_iter().flat_map(|(_, kinds)| kinds).collect())
    }

    async fn flow(&self, row: &FlowRow, able: &BTreeSet<String>, values: bool) -> Result<v1::Flow, Refusal> {
        let record = match self.engine.records.record(&row.behaviour).await {
            Ok(record) => Some(record),
            // A later version's: what is kept of the flow can be shown.
            Err(FlowError::NoBehaviour(_)) => None,
            Err(error) => return Err(refuse(error)),
        };
        let state = row::state(row).map_err(refuse)?;
        let mut left = if values { shown::MAX_SHOWN } else { 0 };
        let steps = record
            .iter()
            .flat_map(|record| record.steps().iter().map(move |step| (record, step)));
        let steps = steps.map(|(record, step)| shown::step(&state, record, step, &mut left));
        let lacks = !row.needs.is_empty() && row.due.is_some() && !able.contains(&row.needs);
        Ok(v1::Flow {
            id: row.id.clone(),
            behaviour: row.name.clone(),
            behaviour_cid: row.behaviour.clone(),
            activity_cid: row.activity.clone(),
            activity_id: row.activity_id.clone(),
            position: row.position,
            verb: row.verb.clone(),
            actor: row.actor.clone(),
            object: row.object.clone(),
            public: row.public,
            status: row.status.to_string(),
            cause: state.cancelled.clone().unwrap_or_else(|| row.cause.clone()),
            version: row.version,
            started_at_us: row.started_at.as_microsecond(),
            moved_at_us: row.moved_at.as_microsecond(),
            due_at_us: row.due.map_or(0, |due| due.as_microsecond()),
            steps: steps.collect(),
            lacks: if lacks { row.needs.clone() } else { String::new() },
        })
    }
}

/// What ids are to begin with: letters and digits of base32.
fn prefix(prefix: String) -> Result<Option<String>, Refusal> {
    let of_ids = |letter: u8| letter.is_ascii_lowercase() || (b'2'..=b'7').contains(&letter);
    match prefix.len() {
        0 => Ok(None),
        PREFIX.. if prefix.bytes().all(of_ids) => Ok(Some(prefix)),
        _ => Err(malformed(format!(
            "`prefix` is no beginning of an id, {PREFIX} letters and digits at least"
        ))),
    }
}

fn place(page: &str) -> Result<(u64, String), Refusal> {
    let place = page
        .split_once('.')
        .and_then(|(position, id)| Some((position.parse().ok()?, id.to_owned())));
    place.ok_or_else(|| malformed("`page` is no page that was answered before"))
}

fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(Code::Malformed, detail)
}

type Answer<T> = Result<Response<T>, GrpcStatus>;

/// What an admitted caller asks.
fn admitted<T>(request: Request<T>, wish: Wish) -> Result<T, Refusal> {
    admit(token::role(&request)?, wish)?;
    Ok(request.into_inner())
}

#[tonic::async_trait]
impl Flows for FlowService {
    async fn list_flows(&self, request: Request<ListFlowsRequest>) -> Answer<ListFlowsResponse> {
        let request = admitted(request, Wish::Read)?;
        Ok(Response::new(self.list(request).await?))
    }

    async fn get_flow(&self, request: Request<GetFlowRequest>) -> Answer<GetFlowResponse> {
        let GetFlowRequest { id, brief } = admitted(request, Wish::Read)?;
        Ok(Response::new(self.get(&id, brief).await?))
    }

    async fn list_behaviours(
        &self,
        request: Request<ListBehavioursRequest>,
    ) -> Answer<ListBehavioursResponse> {
        admitted(request, Wish::Read)?;
        Ok(Response::new(self.behaviours().await?))
    }

    async fn start_flow(&self, request: Request<StartFlowRequest>) -> Answer<FlowMoved> {
        let request = admitted(request, Wish::Move)?;
        Ok(Response::new(self.start(request).await?))
    }

    async fn resume_flow(&self, request: Request<ResumeFlowRequest>) -> Answer<FlowMoved> {
        let request = admitted(request, Wish::Move)?;
        Ok(Response::new(self.resume(request).await?))
    }

    async fn retry_flow(&self, request: Request<RetryFlowRequest>) -> Answer<FlowMoved> {
        let request = admitted(request, Wish::Move)?;
        Ok(Response::new(self.retry(request).await?))
    }

    async fn cancel_flow(&self, request: Request<CancelFlowRequest>) -> Answer<FlowMoved> {
        let request = admitted(request, Wish::Move)?;
        Ok(Response::new(self.cancel(request).await?))
    }
}
