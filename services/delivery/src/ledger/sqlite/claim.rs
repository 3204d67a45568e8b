//! Claiming lanes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use fedsx_kernel::{
    delivery::{
        claim::{self, CLAIM},
        peer::{self, Peer},
    },
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    Sqlite, peers,
    row::{self, json, maybe_time, micros, parsed, time, unsigned},
};
use crate::{
    broker::Due,
    lane::LaneId,
    ledger::{
        Claim, ClaimToken, Claims, Owed, Result,
        claim::{Candidate, PAGE, grant},
        sweep::QUEUED,
    },
};

#[async_trait]
impl Claims for Sqlite {
    async fn claim(&self, lanes: &[LaneId], token: &ClaimToken) -> Result<Vec<Claim>> {
        let mut transaction = self.begin().await?;
        let now = self.now();
        let candidates = candidates(&mut transaction, lanes).await?;
        let (peers, granted) = granted(&mut transaction, &candidates, now).await?;
        let claims = take(&mut transaction, &granted, token, &peers, now, PAGE).await?;
        transaction.commit().await?;
        Ok(claims)
    }

    async fn claim_probe(&self, origin: &Origin, token: &ClaimToken) -> Result<Option<Claim>> {
        let mut transaction = self.begin().await?;
        let now = self.now();
        let peers = peers::read(&mut transaction, std::slice::from_ref(origin)).await?;
        if !peers.get(origin).is_some_and(|peer| peer.probes(now)) {
            return Ok(None);
        }
        let Some((lane, claim_until)) = probe_lane(&mut transaction, origin).await? else {
            return Ok(None);
        };
        if !claim::is_free(claim_until, now) {
            return Ok(None);
        }
        let claims = take(&mut transaction, &[lane], token, &peers, now, 1).await?;
        transaction.commit().await?;
        Ok(claims.into_iter().next().map(Claim::as_probe))
    }

    async fn forget_claims(&self, owner: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE lane SET claim_token = NULL, claim_until = NULL \
             WHERE claim_token IS NOT NULL AND substr(claim_token, 1, length(?1) + 1) = ?1 || '/'",
        )
        .bind(owner)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE lane SET queued_until = 0 WHERE next_due IS NOT NULL AND queued_until > 0")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}

async fn candidates(connection: &mut SqliteConnection, lanes: &[LaneId]) -> Result<Vec<Candidate>> {
    let ids: Vec<_> = lanes.iter().map(|lane| lane.0).collect();
    let rows = sqlx::query(
        "SELECT l.id, l.origin, l.claim_until, l.next_due FROM json_each(?1) k \
         CROSS JOIN lane l ON l.id = k.value",
    )
    .bind(json(&ids)?)
    .fetch_all(connection)
    .await?;
    rows.iter().map(candidate).collect()
}

/// Sets those of the lanes down as queued that may be claimed now, from rows with the columns `id`, `origin`, `claim_until`
/// and `next_due`.
pub(super) async fn queue(
    connection: &mut SqliteConnection,
    rows: &[SqliteRow],
    now: Timestamp,
) -> Result<Vec<Due>> {
    let candidates = rows.iter().map(candidate).collect::<Result<Vec<_>>>()?;
    let granted: HashSet<_> = granted(connection, &candidates, now)
        .await?
        .1
        .into_iter()
        .collect();
    sqlx::query("UPDATE lane SET queued_until = ?2 WHERE id IN (SELECT value FROM json_each(?1))")
        .bind(json(&granted.iter().map(|lane| lane.0).collect::<Vec<_>>())?)
        .bind(micros(now.saturating_add(QUEUED).unwrap_or(now)))
        .execute(connection)
        .await?;
    let due = candidates
        .into_iter()
        .filter(|candidate| granted.contains(&candidate.lane));
    Ok(due
        .map(|candidate| Due {
            lane: candidate.lane,
            origin: candidate.origin,
        })
        .collect())
}

/// The candidates that may be claimed now, and the standings that this was decided by.
async fn granted(
    connection: &mut SqliteConnection,
    candidates: &[Candidate],
    now: Timestamp,
) -> Result<(BTreeMap<Origin, Peer>, Vec<LaneId>)> {
    let origins: BTreeSet<_> = candidates
        .iter()
        .map(|candidate| candidate.origin.clone())
        .collect();
    let peers = peers::read(connection, &Vec::from_iter(origins)).await?;
    let claimed = claimed(connection, &peers, now).await?;
    let lanes = grant(candidates, &peers, &claimed, now);
    Ok((peers, lanes))
}

fn candidate(row: &SqliteRow) -> Result<Candidate> {
    let id: i64 = row.try_get("id")?;
    Ok(Candidate {
        lane: LaneId(id),
        origin: parsed("lane", "origin", id, row.try_get("origin")?)?,
        claim: claim::Lane {
            claim_until: maybe_time("lane", "claim_until", id, row.try_get("claim_until")?)?,
            next_due: maybe_time("lane", "next_due", id, row.try_get("next_due")?)?,
        },
    })
}

/// Those of the failing origins of which a lane is claimed.
async fn claimed(
    connection: &mut SqliteConnection,
    peers: &BTreeMap<Origin, Peer>,
    now: Timestamp,
) -> Result<BTreeSet<Origin>> {
    let failing = peers.iter().filter(|(_, peer)| peer.failing_since.is_some());
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT l.origin FROM json_each(?1) k CROSS JOIN lane l ON l.origin = k.value \
         WHERE l.claim_token IS NOT NULL AND l.claim_until > ?2",
    )
    .bind(row::origins(failing.map(|(origin, _)| origin))?)
    .bind(micros(now))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|origin| parsed("lane", "origin", origin, origin))
        .collect()
}

/// The lane of an origin's probe, and until when it is claimed.
async fn probe_lane(
    connection: &mut SqliteConnection,
    origin: &Origin,
) -> Result<Option<(LaneId, Option<Timestamp>)>> {
    let rows = sqlx::query(
        "SELECT l.id, l.claim_until, (SELECT min(d.position) FROM delivery d \
         WHERE d.lane = l.id AND d.state = 'pending') AS position FROM lane l \
         WHERE l.origin = ?1 AND l.next_due IS NOT NULL",
    )
    .bind(origin.as_str())
    .fetch_all(connection)
    .await?;
    let mut pending = BTreeMap::new();
    for row in &rows {
        let id: i64 = row.try_get("id")?;
        let position: Option<i64> = row.try_get("position")?;
        let claim_until = maybe_time("lane", "claim_until", id, row.try_get("claim_until")?)?;
        if let Some(position) = position {
            let position: u64 = unsigned("delivery", "position", id, position)?;
            pending.insert((LaneId(id), position), claim_until);
        }
    }
    let probe = peer::probe(pending.keys().copied());
    Ok(probe.and_then(|key| pending.get(&key).map(|until| (key.0, *until))))
}

/// Claims the lanes and reads what they owe. A lane that turns out to owe nothing is not claimed, and not due any more.
async fn take(
    connection: &mut SqliteConnection,
    lanes: &[LaneId],
    token: &ClaimToken,
    peers: &BTreeMap<Origin, Peer>,
    now: Timestamp,
    page: u32,
) -> Result<Vec<Claim>> {
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let ids = json(&lanes.iter().map(|lane| lane.0).collect::<Vec<_>>())?;
    let mut owed = owed(connection, &ids, page).await?;
    let (owing, drained): (Vec<LaneId>, Vec<LaneId>) =
        lanes.iter().copied().partition(|lane| owed.contains_key(lane));
    if !drained.is_empty() {
        sqlx::query("UPDATE lane SET next_due = NULL WHERE id IN (SELECT value FROM json_each(?1))")
            .bind(json(&drained.iter().map(|lane| lane.0).collect::<Vec<_>>())?)
            .execute(&mut *connection)
            .await?;
    }
    let until = now.saturating_add(CLAIM).unwrap_or(now);
    let rows = sqlx::query(
        "UPDATE lane SET claim_token = ?2, claim_until = ?3, queued_until = 0 \
         WHERE id IN (SELECT value FROM json_each(?1)) RETURNING id, actor, kind, address, origin",
    )
    .bind(json(&owing.iter().map(|lane| lane.0).collect::<Vec<_>>())?)
    .bind(&token.0)
    .bind(micros(until))
    .fetch_all(connection)
    .await?;
    let mut claims = Vec::new();
    for row in &rows {
        let lane = row::lane(row)?;
        if let Some(owed) = owed.remove(&lane.id) {
            let peer = peers.get(&lane.origin).copied().unwrap_or(Peer::LIVE);
            claims.push(Claim {
                lane,
                token: token.clone(),
                at: now,
                until,
                peer,
                owed,
            });
        }
    }
    Ok(claims)
}

/// The first pending rows of each lane, in log order.
async fn owed(
    connection: &mut SqliteConnection,
    ids: &str,
    page: u32,
) -> Result<BTreeMap<LaneId, Vec<Owed>>> {
    let rows = sqlx::query(
        "SELECT d.lane, d.position, d.cid, d.attempts, d.next_at, d.trace FROM json_each(?1) k \
         CROSS JOIN delivery d ON d.lane = k.value AND d.state = 'pending' AND d.position IN \
         (SELECT f.position FROM delivery f WHERE f.lane = k.value AND f.state = 'pending' \
         ORDER BY f.position LIMIT ?2) ORDER BY d.lane, d.position",
    )
    .bind(ids)
    .bind(page)
    .fetch_all(connection)
    .await?;
    let mut owed = BTreeMap::<_, Vec<_>>::new();
    for row in &rows {
        let lane: i64 = row.try_get("lane")?;
        let next_at: Option<i64> = row.try_get("next_at")?;
        owed.entry(LaneId(lane)).or_default().push(Owed {
            position: unsigned("delivery", "position", lane, row.try_get("position")?)?,
            cid: row.try_get("cid")?,
            attempts: unsigned("delivery", "attempts", lane, row.try_get("attempts")?)?,
            next_at: time("delivery", "next_at", lane, next_at.unwrap_or_default())?,
            trace: row.try_get("trace")?,
        });
    }
    Ok(owed)
}
