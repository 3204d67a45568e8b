//! Claiming lanes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fedsx_kernel::{
    delivery::{
        claim::{CLAIM, is_free},
        peer::{self, Peer},
    },
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    Sqlite,
    candidates::{candidates, claimed, granted},
    peers,
    row::{self, get, json, next_due},
};
use crate::{
    lane::LaneId,
    ledger::{
        Claim, ClaimToken, Claims, Owed, Probe, Result,
        claim::PAGE,
        driver,
        value::{maybe_time, micros, time, unsigned},
    },
};

#[async_trait]
impl Claims for Sqlite {
    async fn claim(&self, lanes: &[LaneId], token: &ClaimToken) -> Result<Vec<Claim>> {
        let mut transaction = self.begin().await?;
        let now = self.now();
        let candidates = candidates(&mut transaction, lanes).await?;
        let (peers, granted) = granted(&mut transaction, &candidates, now).await?;
        let (again, first): (Vec<_>, Vec<_>) = candidates
            .iter()
            .filter(|candidate| granted.contains(&candidate.lane))
            .partition(|candidate| candidate.replay);
        let mut owed = owed(
            &mut transaction,
            OWED,
            &first.iter().map(|lane| lane.lane.0).collect::<Vec<_>>(),
            PAGE,
            now,
        )
        .await?;
        if !again.is_empty() {
            let ids: Vec<_> = again.iter().map(|lane| lane.lane.0).collect();
            owed.append(&mut self::owed(&mut transaction, OWED_AGAIN, &ids, PAGE, now).await?);
        }
        let claims = take(&mut transaction, &granted, owed, token, &peers, now).await?;
        transaction.commit().await.map_err(driver("claim lanes"))?;
        Ok(claims)
    }

    async fn claim_probe(&self, origin: &Origin, why: Probe, token: &ClaimToken) -> Result<Option<Claim>> {
        let mut transaction = self.begin().await?;
        let now = self.now();
        let peers = peers::read(&mut transaction, std::slice::from_ref(origin)).await?;
        let peer = peers.get(origin).unwrap_or(&Peer::LIVE);
        if why == Probe::Due && !peer.probes(now) || !claimed(&mut transaction, &peers, now).await?.is_empty()
        {
            return Ok(None);
        }
        let Some((lane, claim_until)) = probe_lane(&mut transaction, origin).await? else {
            return Ok(None);
        };
        if !is_free(claim_until, now) {
            return Ok(None);
        }
        let owed = owed(&mut transaction, OWED, &[lane.0], 1, now).await?;
        let claims = take(&mut transaction, &[lane], owed, token, &peers, now).await?;
        if !claims.is_empty() {
            let probing = BTreeMap::from([(origin.clone(), peer.probing(now))]);
            peers::put(&mut transaction, &probing).await?;
        }
        transaction
            .commit()
            .await
            .map_err(driver("claim a probe's lane"))?;
        Ok(claims.into_iter().next().map(Claim::as_probe))
    }

    async fn forget_claims(&self, owner: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        let prefix = ClaimToken::prefix(owner);
        for sql in [
            "UPDATE lane SET claim_token = NULL, claim_until = NULL \
             WHERE claim_token IS NOT NULL AND substr(claim_token, 1, length(?1)) = ?1",
            "UPDATE lane SET sweep_at = 0 WHERE next_due IS NOT NULL AND claim_token IS NULL AND ?1 IS NOT NULL",
        ] {
            sqlx::query(sql)
                .bind(&prefix)
                .execute(&mut *transaction)
                .await
                .map_err(driver("forget claims"))?;
        }
        transaction.commit().await.map_err(driver("forget claims"))
    }
}

/// The lane of an origin's probe, and until when it is claimed.
async fn probe_lane(
    connection: &mut SqliteConnection,
    origin: &Origin,
) -> Result<Option<(LaneId, Option<Timestamp>)>> {
    let rows = sqlx::query(
        "SELECT l.id, l.claim_until, d.position, max(coalesce(d.next_at, 0), l.next_due) AS due \
         FROM lane l JOIN delivery d ON d.lane = l.id AND d.state = 'pending' \
         AND d.position = (SELECT min(f.position) FROM delivery f WHERE f.lane = l.id AND f.state = 'pending') \
         WHERE l.origin = ?1 AND l.next_due IS NOT NULL",
    )
    .bind(origin.as_str())
    .fetch_all(connection)
    .await
    .map_err(driver("find a probe's lane"))?;
    let (mut pending, mut claims) = (Vec::new(), BTreeMap::new());
    for row in &rows {
        let id: i64 = get(row, "id")?;
        let position: u64 = unsigned("delivery", "position", id, get(row, "position")?)?;
        pending.push((
            LaneId(id),
            position,
            time("lane", "next_due", id, get(row, "due")?)?,
        ));
        let claim_until = maybe_time("lane", "claim_until", id, get(row, "claim_until")?)?;
        claims.insert(LaneId(id), claim_until);
    }
    let probe = peer::probe(pending);
    Ok(probe.and_then(|(lane, _)| Some((lane, *claims.get(&lane)?))))
}

/// Claims the lanes with what they owe. A lane that turns out to owe nothing now is not claimed, and due when its rows say.
async fn take(
    connection: &mut SqliteConnection,
    lanes: &[LaneId],
    mut owed: BTreeMap<LaneId, Vec<Owed>>,
    token: &ClaimToken,
    peers: &BTreeMap<Origin, Peer>,
    now: Timestamp,
) -> Result<Vec<Claim>> {
    let (owing, drained): (Vec<LaneId>, Vec<LaneId>) =
        lanes.iter().copied().partition(|lane| owed.contains_key(lane));
    if !drained.is_empty() {
        sqlx::query(concat!(
            "UPDATE lane SET sweep_at = 0, next_due = ",
            next_due!(),
            " WHERE id IN (SELECT value FROM json_each(?1))"
        ))
        .bind(json(&drained.iter().map(|lane| lane.0).collect::<Vec<_>>())?)
        .execute(&mut *connection)
        .await
        .map_err(driver("set drained lanes down"))?;
    }
    if owing.is_empty() {
        return Ok(Vec::new());
    }
    let until = now.saturating_add(CLAIM).unwrap_or(now);
    let rows = sqlx::query(
        "UPDATE lane SET claim_token = ?2, claim_until = ?3, sweep_at = ?3 \
         WHERE id IN (SELECT value FROM json_each(?1)) RETURNING id, actor, kind, address, origin, replay",
    )
    .bind(json(&owing.iter().map(|lane| lane.0).collect::<Vec<_>>())?)
    .bind(&token.0)
    .bind(micros(until))
    .fetch_all(connection)
    .await
    .map_err(driver("claim lanes"))?;
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

/// What lanes owe, as [`OWED`] reads it, and what of it [`OWED_AGAIN`] does.
macro_rules! owed {
    ($due:literal) => {
        concat!(
            "SELECT d.lane, d.position, d.cid, d.attempts, d.tries, d.next_at, d.trace FROM json_each(?1) k \
             CROSS JOIN delivery d ON d.lane = k.value AND d.state = 'pending' AND d.position IN \
             (SELECT f.position FROM delivery f INDEXED BY delivery_pending WHERE f.lane = k.value AND f.state = 'pending'",
            $due,
            " ORDER BY f.position LIMIT ?2) ORDER BY d.lane, d.position"
        )
    };
}
/// The first pending rows of each lane, in log order.
pub(super) const OWED: &str = owed!(" AND ?3 IS NOT NULL");
/// Those that are due: a replay lane's.
pub(super) const OWED_AGAIN: &str = owed!(" AND f.next_at <= ?3");

async fn owed(
    connection: &mut SqliteConnection,
    sql: &'static str,
    lanes: &[i64],
    page: u32,
    now: Timestamp,
) -> Result<BTreeMap<LaneId, Vec<Owed>>> {
    let rows = sqlx::query(sql)
        .bind(json(&lanes)?)
        .bind(page)
        .bind(micros(now))
        .fetch_all(connection)
        .await
        .map_err(driver("read what lanes owe"))?;
    let mut owed = BTreeMap::<_, Vec<_>>::new();
    for row in &rows {
        let (lane, delivery) = decode(row)?;
        owed.entry(lane).or_default().push(delivery);
    }
    Ok(owed)
}

fn decode(row: &SqliteRow) -> Result<(LaneId, Owed)> {
    let lane: i64 = get(row, "lane")?;
    let next_at: Option<i64> = get(row, "next_at")?;
    let owed = Owed {
        position: unsigned("delivery", "position", lane, get(row, "position")?)?,
        cid: get(row, "cid")?,
        attempts: unsigned("delivery", "attempts", lane, get(row, "attempts")?)?,
        tries: unsigned("delivery", "tries", lane, get(row, "tries")?)?,
        next_at: time("delivery", "next_at", lane, next_at.unwrap_or_default())?,
        trace: get(row, "trace")?,
    };
    Ok((LaneId(lane), owed))
}
