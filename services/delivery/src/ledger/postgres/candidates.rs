//! Lanes that might be claimed, and granted by what their origins allow.

use std::collections::{BTreeMap, BTreeSet};

use fedsx_kernel::{
    delivery::{claim, peer::Peer},
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::postgres::PgRow;

use super::{
    connection::Connection,
    row::{get, names},
};
use crate::{
    lane::LaneId,
    ledger::{
        Result,
        claim::Candidate,
        driver,
        value::{maybe_time, micros, parsed},
    },
};

/// The columns that [`candidate`] reads, of tables named `l` and `s`.
macro_rules! candidate_columns {
    () => {
        "l.id, l.origin, l.replay, s.claim_until, s.next_due"
    };
}
pub(super) use candidate_columns;

pub(super) fn candidate(row: &PgRow) -> Result<Candidate> {
    let id: i64 = get(row, "id")?;
    Ok(Candidate {
        lane: LaneId(id),
        origin: parsed("lane", "origin", id, get(row, "origin")?)?,
        replay: get(row, "replay")?,
        claim: claim::Lane {
            claim_until: maybe_time("lane_state", "claim_until", id, get(row, "claim_until")?)?,
            next_due: maybe_time("lane_state", "next_due", id, get(row, "next_due")?)?,
        },
    })
}

/// Whether a lane of an origin `o` is claimed at `$2`.
pub(super) const CLAIMED: &str = "SELECT o.origin FROM unnest($1::text[]) AS o (origin) WHERE EXISTS ( \
     SELECT 1 FROM lane l JOIN lane_state s ON s.lane = l.id \
     WHERE l.origin = o.origin AND s.claim_token IS NOT NULL AND s.claim_until > $2)";

/// Those of the failing origins of which a lane is claimed.
pub(super) async fn claimed(
    connection: &mut Connection,
    peers: &BTreeMap<Origin, Peer>,
    now: Timestamp,
) -> Result<BTreeSet<Origin>> {
    let failing = peers.iter().filter(|(_, peer)| peer.failing_since.is_some());
    let failing = names(failing.map(|(origin, _)| origin));
    if failing.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<String> = sqlx::query_scalar(CLAIMED)
        .bind(failing)
        .bind(micros(now))
        .fetch_all(connection)
        .await
        .map_err(driver("read claims"))?;
    rows.iter()
        .map(|origin| parsed("lane", "origin", origin, origin))
        .collect()
}
