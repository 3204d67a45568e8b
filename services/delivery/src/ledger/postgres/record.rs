//! Recording what attempts brought.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use fedsx_kernel::{
    delivery::{
        claim::{Lane, claimable},
        peer::Peer,
        row::MOST_OWED,
    },
    origin::Origin,
};
use fedsx_runtime::database::postgres::retried;
use jiff::Timestamp;

use super::{
    Durability, Postgres,
    before::{is_delivered, lock_lanes, lock_origins, rows},
    connection::Connection,
    peers::{self, put_peers},
    row::{column, get, ids, next_due, text},
};
use crate::{
    lane::LaneId,
    ledger::{
        Records, Report, Result, Verdict, Verdicts, driver, integer,
        record::{After, Before, SURPLUS, TAKES_NONE, settle},
        value::{maybe_micros, maybe_time, micros},
    },
};

#[async_trait]
impl Records for Postgres {
    async fn record(&self, reports: &[Report]) -> Result<Verdicts> {
        let mut changing = BTreeSet::new();
        loop {
            match retried(|| self.record_once(reports, &changing)).await? {
                Recorded::Done(verdicts) => return Ok(verdicts),
                Recorded::Changes(origins) => changing.extend(origins),
            }
        }
    }
}

enum Recorded {
    Done(Verdicts),
    /// Nothing was written, since the standings of these would change, and their rows were not locked.
    Changes(Vec<Origin>),
}

impl Postgres {
    /// Most batches change no origin's standing and lock none, or all workers would wait for each other. Such a batch might
    /// have come before whatever it did not see.
    async fn record_once(&self, reports: &[Report], changing: &BTreeSet<Origin>) -> Result<Recorded> {
        let mut transaction = self.begin(durability(reports)).await?;
        let locked = lock_origins(&mut transaction, reports, changing).await?;
        let (before, replays) = lock_lanes(&mut transaction, reports).await?;
        let (rows, now) = rows(&mut transaction, reports, self.set()).await?;
        let before = Before { rows, ..before };
        let after = settle(reports, &before);
        let changes: Vec<_> = after
            .peers
            .keys()
            .filter(|origin| !locked.contains(*origin))
            .collect();
        if !changes.is_empty() {
            let changes = changes.into_iter().cloned().collect();
            transaction.rollback().await.map_err(driver("record outcomes"))?;
            return Ok(Recorded::Changes(changes));
        }
        write(&mut transaction, &after).await?;
        end_surplus(&mut transaction, &after.unmoved, now).await?;
        let due = release(&mut transaction, reports, &after, &replays, now).await?;
        transaction.commit().await.map_err(driver("record outcomes"))?;
        Ok(Recorded::Done(verdicts(reports, &before, after, &due, now)))
    }
}

fn durability(reports: &[Report]) -> Durability {
    if reports.iter().all(is_delivered) {
        Durability::Forgiven
    } else {
        Durability::Durable
    }
}

/// Writes settled rows, and the standings that changed.
pub(super) const WRITE: &str = concat!(
    "WITH peers AS (",
    put_peers!(),
    ") UPDATE delivery d SET state = k.state, attempts = k.attempts, tries = d.tries + 1, status = k.status, \
       cause = k.cause, next_at = k.next_at, settled_at = k.settled_at, replica = k.replica \
     FROM unnest($9::bigint[], $10::bigint[], $11::text[], $12::integer[], $13::integer[], $14::text[], \
                 $15::bigint[], $16::bigint[], $17::text[]) \
          AS k (lane, position, state, attempts, status, cause, next_at, settled_at, replica) \
     WHERE d.lane = k.lane AND d.position = k.position"
);

async fn write(connection: &mut Connection, after: &After<'_>) -> Result<()> {
    if after.rows.is_empty() && after.peers.is_empty() {
        return Ok(());
    }
    let rows = &after.rows;
    peers::bind(sqlx::query(WRITE), &after.peers)
        .bind(column(rows, |(report, ..)| report.lane.0))
        .bind(column(rows, |(_, attempt, _)| integer(attempt.position)))
        .bind(column(rows, |(.., settled)| settled.state.as_str()))
        .bind(column(rows, |(.., settled)| {
            i32::try_from(settled.attempts).unwrap_or(i32::MAX)
        }))
        .bind(column(rows, |(_, attempt, _)| i32::from(attempt.status)))
        .bind(column(rows, |(_, attempt, _)| text(&attempt.cause)))
        .bind(column(rows, |(.., settled)| maybe_micros(settled.next_at)))
        .bind(column(rows, |(_, attempt, settled)| {
            settled.next_at.is_none().then(|| micros(attempt.at))
        }))
        .bind(column(rows, |(report, ..)| report.token.owner()))
        .execute(connection)
        .await
        .map_err(driver("record outcomes"))?;
    Ok(())
}

/// The oldest that lanes owe beyond a number of deliveries.
pub(super) const END_SURPLUS: &str = "UPDATE delivery d SET state = 'dead', cause = $4, next_at = NULL, settled_at = $5 \
     FROM unnest($1::bigint[]) AS k (lane) JOIN lane l ON l.id = k.lane AND NOT l.replay CROSS JOIN LATERAL ( \
         SELECT n.position FROM delivery n WHERE n.lane = l.id AND n.state = 'pending' \
         ORDER BY n.position DESC OFFSET $2 LIMIT 1 \
     ) newest CROSS JOIN LATERAL ( \
         SELECT o.position FROM delivery o WHERE o.lane = l.id AND o.state = 'pending' \
         AND o.position <= newest.position ORDER BY o.position LIMIT $3 \
     ) o WHERE d.lane = l.id AND d.position = o.position";

async fn end_surplus(connection: &mut Connection, lanes: &[LaneId], now: Timestamp) -> Result<()> {
    if lanes.is_empty() {
        return Ok(());
    }
    sqlx::query(END_SURPLUS)
        .bind(ids(lanes))
        .bind(i64::from(MOST_OWED))
        .bind(i64::from(SURPLUS))
        .bind(TAKES_NONE)
        .bind(micros(now))
        .execute(connection)
        .await
        .map_err(driver("end deliveries"))?;
    Ok(())
}

/// Ends claims. A pause sets down no lane that owes nothing.
pub(super) const RELEASE: &str = concat!(
    "UPDATE lane_state s SET claim_token = NULL, claim_until = NULL, next_due = k.next_due, \
     sweep_at = coalesce(k.next_due, 0) FROM ( \
         SELECT k.lane, CASE WHEN n.next_due IS NOT NULL THEN greatest(n.next_due, k.earliest) END AS next_due \
         FROM unnest($1::bigint[], $2::boolean[], $3::bigint[]) AS k (lane, replay, earliest) CROSS JOIN ",
    next_due!("k"),
    ") k WHERE s.lane = k.lane RETURNING s.lane, s.next_due"
);

/// Ends the claims that end, sets down when their lanes are due next, and answers which are due now.
async fn release(
    connection: &mut Connection,
    reports: &[Report],
    after: &After<'_>,
    replays: &HashMap<LaneId, bool>,
    now: Timestamp,
) -> Result<BTreeSet<LaneId>> {
    let ending: BTreeMap<LaneId, i64> = reports
        .iter()
        .zip(&after.mine)
        .filter(|(report, mine)| **mine && report.release)
        .map(|(report, _)| {
            let earliest = (!report.pause.is_zero()).then(|| now.saturating_add(report.pause).unwrap_or(now));
            (report.lane, earliest.map_or(0, micros))
        })
        .collect();
    if ending.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = sqlx::query(RELEASE)
        .bind(column(&ending, |(lane, _)| lane.0))
        .bind(column(&ending, |(lane, _)| {
            replays.get(lane).copied().unwrap_or(false)
        }))
        .bind(column(&ending, |(_, earliest)| *earliest))
        .fetch_all(connection)
        .await
        .map_err(driver("release lanes"))?;
    let mut due = BTreeSet::new();
    for row in &rows {
        let lane: i64 = get(row, "lane")?;
        let next_due = maybe_time("lane_state", "next_due", lane, get(row, "next_due")?)?;
        if next_due.is_some_and(|next| next <= now) {
            due.insert(LaneId(lane));
        }
    }
    Ok(due)
}

fn verdicts(
    reports: &[Report],
    before: &Before,
    after: After<'_>,
    due: &BTreeSet<LaneId>,
    now: Timestamp,
) -> Verdicts {
    let peer = |origin: &Origin| {
        after
            .peers
            .get(origin)
            .or_else(|| before.peers.get(origin))
            .copied()
    };
    let open = |lane: &LaneId| {
        let origin = before.lanes.get(lane).map(|(_, origin)| origin);
        let free = Lane {
            claim_until: None,
            next_due: Some(now),
        };
        claimable(free, &origin.and_then(peer).unwrap_or(Peer::LIVE), true, now)
    };
    let verdict = |(report, mine): (&Report, &bool)| Verdict {
        mine: *mine,
        due: *mine && report.release && due.contains(&report.lane) && open(&report.lane),
    };
    Verdicts {
        reports: reports.iter().zip(&after.mine).map(verdict).collect(),
        park: after.park,
        answered: after.answered,
    }
}
