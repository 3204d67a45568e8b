//! Recording what attempts brought.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use fedsx_kernel::delivery::{
    claim::{Lane, claimable},
    peer::Peer,
    row::{MOST_OWED, Row},
};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{
    Sqlite, peers,
    row::{get, json, next_due},
};
use crate::{
    lane::LaneId,
    ledger::{
        ClaimToken, Records, Report, Result, Verdict, Verdicts, driver, integer,
        record::{After, Before, SURPLUS, TAKES_NONE, settle},
        value::{maybe_micros, micros, parsed, unsigned},
    },
};

#[async_trait]
impl Records for Sqlite {
    async fn record(&self, reports: &[Report]) -> Result<Verdicts> {
        let mut transaction = self.begin().await?;
        let before = read(&mut transaction, reports).await?;
        let after = settle(reports, &before);
        write(&mut transaction, &after).await?;
        let now = self.now();
        end_surplus(&mut transaction, &after.unmoved, now).await?;
        let due = release(&mut transaction, reports, &after, now).await?;
        transaction.commit().await.map_err(driver("record outcomes"))?;
        let open = |lane: &LaneId| {
            let origin = before.lanes.get(lane).map(|(_, origin)| origin);
            let peer = origin.and_then(|origin| after.peers.get(origin).or_else(|| before.peers.get(origin)));
            let free = Lane {
                claim_until: None,
                next_due: Some(now),
            };
            claimable(free, peer.unwrap_or(&Peer::LIVE), true, now)
        };
        let verdict = |(report, mine): (&Report, &bool)| Verdict {
            mine: *mine,
            due: *mine && report.release && due.contains(&report.lane) && open(&report.lane),
        };
        Ok(Verdicts {
            reports: reports.iter().zip(&after.mine).map(verdict).collect(),
            park: after.park,
            answered: after.answered,
        })
    }
}

async fn read(connection: &mut SqliteConnection, reports: &[Report]) -> Result<Before> {
    let mut before = Before::default();
    let lanes: BTreeSet<_> = reports.iter().map(|report| report.lane.0).collect();
    let rows = sqlx::query(
        "SELECT l.id, l.claim_token, l.origin FROM json_each(?1) k CROSS JOIN lane l ON l.id = k.value",
    )
    .bind(json(&lanes)?)
    .fetch_all(&mut *connection)
    .await
    .map_err(driver("record outcomes"))?;
    for row in &rows {
        let id: i64 = get(row, "id")?;
        let token: Option<String> = get(row, "claim_token")?;
        let origin = parsed("lane", "origin", id, get(row, "origin")?)?;
        before.lanes.insert(LaneId(id), (token.map(ClaimToken), origin));
    }
    let positions: Vec<_> = reports
        .iter()
        .flat_map(|report| {
            report
                .attempts
                .iter()
                .map(|attempt| (report.lane.0, integer(attempt.position)))
        })
        .collect();
    before.rows = rows_of(connection, &json(&positions)?).await?;
    let origins: BTreeSet<_> = before.lanes.values().map(|(_, origin)| origin.clone()).collect();
    before.peers = peers::read(connection, &Vec::from_iter(origins)).await?;
    Ok(before)
}

async fn rows_of(connection: &mut SqliteConnection, keys: &str) -> Result<BTreeMap<(LaneId, u64), Row>> {
    let rows = sqlx::query(
        "SELECT d.lane, d.position, d.state, d.attempts FROM json_each(?1) k CROSS JOIN delivery d \
         ON d.lane = k.value ->> 0 AND d.position = k.value ->> 1",
    )
    .bind(keys)
    .fetch_all(connection)
    .await
    .map_err(driver("record outcomes"))?;
    rows.iter()
        .map(|row| {
            let lane: i64 = get(row, "lane")?;
            let position: u64 = unsigned("delivery", "position", lane, get(row, "position")?)?;
            let key = format!("lane {lane}, position {position}");
            let state = parsed("delivery", "state", &key, get(row, "state")?)?;
            let attempts = unsigned("delivery", "attempts", &key, get(row, "attempts")?)?;
            Ok(((LaneId(lane), position), Row { state, attempts }))
        })
        .collect()
}

async fn write(connection: &mut SqliteConnection, after: &After<'_>) -> Result<()> {
    let rows: Vec<_> = after
        .rows
        .iter()
        .map(|(report, attempt, settled)| {
            (
                report.lane.0,
                integer(attempt.position),
                settled.state.as_str(),
                settled.attempts,
                attempt.status,
                &attempt.cause,
                maybe_micros(settled.next_at),
                settled.next_at.is_none().then(|| micros(attempt.at)),
                report.token.owner(),
            )
        })
        .collect();
    sqlx::query(
        "UPDATE delivery AS d SET state = k.value ->> 2, attempts = k.value ->> 3, tries = d.tries + 1, status = k.value ->> 4, \
         cause = k.value ->> 5, next_at = k.value ->> 6, settled_at = k.value ->> 7, replica = k.value ->> 8 \
         FROM json_each(?1) k \
         WHERE d.lane = k.value ->> 0 AND d.position = k.value ->> 1",
    )
    .bind(json(&rows)?)
    .execute(&mut *connection)
    .await.map_err(driver("record outcomes"))?;
    if !after.peers.is_empty() {
        peers::put(connection, &after.peers).await?;
    }
    Ok(())
}

/// Ends the oldest that lanes owe beyond a number of deliveries.
async fn end_surplus(connection: &mut SqliteConnection, lanes: &[LaneId], now: Timestamp) -> Result<()> {
    for lane in lanes {
        sqlx::query(
            "UPDATE delivery SET state = 'dead', cause = ?4, next_at = NULL, settled_at = ?5 WHERE lane = ?1 \
             AND position IN (SELECT o.position FROM delivery o WHERE o.lane = ?1 AND o.state = 'pending' \
                 AND o.position <= (SELECT n.position FROM delivery n JOIN lane l ON l.id = n.lane AND NOT l.replay \
                     WHERE n.lane = ?1 AND n.state = 'pending' ORDER BY n.position DESC LIMIT 1 OFFSET ?2) \
                 ORDER BY o.position LIMIT ?3)",
        )
        .bind(lane.0)
        .bind(MOST_OWED)
        .bind(SURPLUS)
        .bind(TAKES_NONE)
        .bind(micros(now))
        .execute(&mut *connection)
        .await
        .map_err(driver("end deliveries"))?;
    }
    Ok(())
}

/// Ends the claims that end, sets down when their lanes are due next, and answers which are due now.
async fn release(
    connection: &mut SqliteConnection,
    reports: &[Report],
    after: &After<'_>,
    now: Timestamp,
) -> Result<BTreeSet<LaneId>> {
    let ending: Vec<_> = reports
        .iter()
        .zip(&after.mine)
        .filter(|(report, mine)| **mine && report.release)
        .map(|(report, _)| {
            let earliest = (!report.pause.is_zero()).then(|| now.saturating_add(report.pause).unwrap_or(now));
            (report.lane.0, earliest.map_or(0, micros))
        })
        .collect();
    if ending.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = sqlx::query(concat!(
        "UPDATE lane SET claim_token = NULL, claim_until = NULL, next_due = max(n.next_due, n.earliest), \
         sweep_at = coalesce(max(n.next_due, n.earliest), 0) \
         FROM (SELECT lane.id, k.value ->> 1 AS earliest, ",
        next_due!(),
        " AS next_due FROM json_each(?1) k CROSS JOIN lane ON lane.id = k.value ->> 0) n \
         WHERE lane.id = n.id RETURNING lane.id, lane.next_due"
    ))
    .bind(json(&ending)?)
    .fetch_all(connection)
    .await
    .map_err(driver("record outcomes"))?;
    let mut due = BTreeSet::new();
    for row in &rows {
        let next_due: Option<i64> = get(row, "next_due")?;
        if next_due.is_some_and(|next| next <= micros(now)) {
            due.insert(LaneId(get(row, "id")?));
        }
    }
    Ok(due)
}
