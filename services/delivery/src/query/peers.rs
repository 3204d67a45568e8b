//! The ledger by peer, and a probe that is asked for.

use std::time::{Duration, Instant};

use fedsx_kernel::{
    delivery::{outcome::Outcome, peer::Standing},
    origin::Origin,
};
use fedsx_proto::v1::{ListPeersRequest, ListPeersResponse, Peer, ProbePeerRequest, ProbePeerResponse};
use fedsx_runtime::code::{Code, Refusal};

use super::{DeliveryService, is_full, limit, millis, needed, optional, refuse};
use crate::{ledger::PeerRow, metrics::label, probe::Asked};

/// How long fan-out is waited for, once a peer has answered.
const UNPARKED: Duration = Duration::from_secs(2);

impl DeliveryService {
    pub(super) async fn peers(&self, request: ListPeersRequest) -> Result<ListPeersResponse, Refusal> {
        let after = optional::<Origin>("page_token", &request.page_token)?;
        let limit = limit(request.limit);
        let cursor = self.ledger.cursor().await.map_err(refuse)?.position;
        let rows = self.ledger.list_peers(after.as_ref(), limit).await;
        let rows = rows.map_err(refuse)?;
        let last = rows.last().filter(|_| is_full(&rows, limit));
        Ok(ListPeersResponse {
            next_page_token: last.map(|row| row.origin.to_string()).unwrap_or_default(),
            peers: rows.iter().map(|row| peer(row, cursor)).collect(),
        })
    }

    pub(super) async fn peer(&self, origin: &Origin) -> Result<Peer, Refusal> {
        let cursor = self.ledger.cursor().await.map_err(refuse)?.position;
        Ok(peer(&self.known(origin).await?, cursor))
    }

    /// An origin's row.
    ///
    /// # Errors
    /// [`Code::NotFound`] where this domain has never sent to it.
    pub(super) async fn known(&self, origin: &Origin) -> Result<PeerRow, Refusal> {
        let row = self.ledger.peer(origin).await.map_err(refuse)?;
        row.ok_or_else(|| Refusal::new(Code::NotFound, format!("this domain has never sent to {origin}")))
    }

    pub(super) async fn probe(&self, request: ProbePeerRequest) -> Result<ProbePeerResponse, Refusal> {
        let origin: Origin = needed("origin", &request.origin)?;
        if self.known(&origin).await?.blocked {
            return Err(Refusal::new(Code::Blocked, format!("{origin} is blocked")));
        }
        // The probe goes on where the caller does not wait, or goes away.
        let ending = || Refusal::new(Code::Unavailable, "this process is stopping");
        let (probes, asked) = (self.probes.upgrade().ok_or_else(ending)?, origin.clone());
        let probe = self.tasks.spawn(async move { probes.ask(&asked).await });
        let mut response = ProbePeerResponse::default();
        if request.wait {
            let asked = probe
                .await
                .map_err(|_| Refusal::new(Code::Internal, "the probe was cut off"))?;
            response = told(asked.map_err(refuse)?)?;
            self.unparked(&origin).await?;
        }
        response.peer = Some(self.peer(&origin).await?);
        Ok(response)
    }

    /// Waits a little for fan-out to end the parking of a peer that has answered.
    async fn unparked(&self, origin: &Origin) -> Result<(), Refusal> {
        let began = Instant::now();
        while self.known(origin).await?.peer.waits(true) && began.elapsed() < UNPARKED {
            tokio::time::sleep(UNPARKED / 40).await;
        }
        Ok(())
    }
}

fn told(asked: Asked) -> Result<ProbePeerResponse, Refusal> {
    let mut response = ProbePeerResponse::default();
    let (told, is_base) = match asked {
        Asked::Busy => {
            "busy".clone_into(&mut response.outcome);
            return Ok(response);
        }
        Asked::Sent { told: None, .. } => {
            let missing = "nothing was sent: the log does not answer, or the actor has no key";
            return Err(Refusal::new(Code::Unavailable, missing));
        }
        Asked::Sent {
            cid,
            address,
            told: Some(told),
        } => {
            (response.cid, response.inbox) = (cid, address);
            (told, false)
        }
        Asked::Fetched(told) => (told, true),
    };
    let outcome = match told.outcome {
        Outcome::OriginFailed => label(Outcome::OriginFailed),
        _ if is_base && told.status > 0 => "answered",
        outcome => label(outcome),
    };
    outcome.clone_into(&mut response.outcome);
    response.status = told.status.into();
    response.cause = told.cause;
    Ok(response)
}

fn peer(row: &PeerRow, cursor: u64) -> Peer {
    let (parked_since, next_probe) = match row.peer.standing {
        Standing::Parked {
            since, next_probe, ..
        } => (Some(since), Some(next_probe)),
        _ => (None, None),
    };
    let at = row.peer.standing.at();
    Peer {
        origin: row.origin.to_string(),
        state: row.peer.standing.as_str().to_owned(),
        pending: row.pending,
        refused: row.refused,
        dead: row.dead,
        failing_since_ms: millis(row.peer.failing_since),
        parked_since_ms: millis(parked_since),
        hold_until_ms: millis(row.peer.hold_until),
        next_probe_ms: millis(next_probe),
        behind: at.map_or(0, |at| (cursor + 1).saturating_sub(at)),
        blocked: row.blocked,
        alive_at_ms: millis(row.peer.alive_at),
    }
}
