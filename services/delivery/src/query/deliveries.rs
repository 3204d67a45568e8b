//! The ledger by delivery.

use fedsx_proto::v1::{
    DeliveryRow, GetDeliveryRequest, GetDeliveryResponse, ListDeliveriesRequest, ListDeliveriesResponse,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    telemetry,
};

use super::{DeliveryService, each, is_full, limit, millis, optional, refuse, some};
use crate::{
    bodies,
    ledger::{Filter, PageToken, Recorded},
};

impl DeliveryService {
    pub(super) async fn list(
        &self,
        request: ListDeliveriesRequest,
    ) -> Result<ListDeliveriesResponse, Refusal> {
        let filter = Filter {
            states: each("states", &request.states)?,
            origin: optional("origin", &request.origin)?,
            cid: some(request.cid),
            address: some(request.inbox),
        };
        let after = optional::<PageToken>("page_token", &request.page_token)?;
        let limit = limit(request.limit);
        let rows = self.ledger.list(&filter, after, limit).await.map_err(refuse)?;
        if let (true, Some(origin)) = (rows.is_empty(), &filter.origin) {
            self.known(origin).await?;
        }
        let last = rows.last().filter(|_| is_full(&rows, limit));
        Ok(ListDeliveriesResponse {
            next_page_token: last.map(|row| row.token().to_string()).unwrap_or_default(),
            deliveries: rows.into_iter().map(delivery).collect(),
        })
    }

    pub(super) async fn show(&self, request: GetDeliveryRequest) -> Result<GetDeliveryResponse, Refusal> {
        let filter = Filter {
            cid: Some(request.cid),
            address: Some(request.inbox),
            ..Filter::default()
        };
        let mut rows = self.ledger.list(&filter, None, 1).await.map_err(refuse)?;
        let row = rows
            .pop()
            .ok_or_else(|| Refusal::new(Code::NotFound, "the ledger has no such delivery"))?;
        let entry = self.log.at(vec![row.position]).await?.pop();
        let entry = entry
            .ok_or_else(|| Refusal::new(Code::Internal, format!("the log has no entry {}", row.position)))?;
        Ok(GetDeliveryResponse {
            delivery: Some(delivery(row)),
            body: bodies::body(&entry)?.bytes,
            activity_id: entry.activity_id,
        })
    }
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
        replay: row.lane.replay,
        replica: row.replica.unwrap_or_default(),
    }
}
