//! Recording what attempts brought.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use fedsx_kernel::{
    delivery::{
        claim::{Lane, claimable},
        outcome::Outcome,
        peer::Peer,
        row::Row,
    },
    origin::Origin,
};
use jiff::Timestamp;
use sqlx::{PgConnection, postgres::PgRow};

use super::{
    Durability, Postgres,
    peers::{self, put_peers},
    retry::retried,
    row::{self, clock, column, get, ids, names, next_due, peer_columns, small, text},
};
use crate::{
    lane::LaneId,
    ledger::{
        ClaimToken, Records, Report, Result, Verdict, Verdicts, driver, integer,
        record::{After, Before, settle},
        value::{maybe_micros, maybe_time, micros, parsed, time, unsigned},
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
        let due = release(&mut transaction, reports, &after, &replays, now).await?;
        transaction.commit().await.map_err(driver("record outcomes"))?;
        Ok(Recorded::Done(verdicts(reports, &before, after, &due, now)))
    }
}

fn is_delivered(report: &Report) -> bool {
    let mut attempts = report.attempts.iter();
    attempts.all(|attempt| attempt.outcome == Outcome::Delivered)
}

fn durability(reports: &[Report]) -> Durability {
    if reports.iter().all(is_delivered) {
        Durability::Forgiven
    } else {
        Durability::Durable
    }
}

/// Origins, and those of lanes, locked by name.
pub(super) const ORIGINS: &str = "SELECT o.origin FROM origin o WHERE o.origin IN ( \
         SELECT unnest($1::text[]) UNION SELECT l.origin FROM lane l WHERE l.id = ANY($2) \
     ) ORDER BY o.origin FOR NO KEY UPDATE";

/// Locks the origins that are known to change, and those of the lanes in which something was not delivered: whose failure
/// that is depends on what others have recorded.
async fn lock_origins(
    connection: &mut PgConnection,
    reports: &[Report],
    changing: &BTreeSet<Origin>,
) -> Result<BTreeSet<Origin>> {
    let failing = reports.iter().filter(|report| !is_delivered(report));
    let failing: BTreeSet<_> = failing.map(|report| report.lane).collect();
    if failing.is_empty() && changing.is_empty() {
        return Ok(BTreeSet::new());
    }
    let locked: Vec<String> = sqlx::query_scalar(ORIGINS)
        .bind(names(changing))
        .bind(ids(&failing))
        .fetch_all(connection)
        .await
        .map_err(driver("lock peers"))?;
    let locked = locked
        .iter()
        .map(|origin| parsed("origin", "origin", origin, origin));
    locked.collect()
}

/// Lanes, locked in order, and their origins as they stand: nobody changes those that are locked.
pub(super) const LANES: &str = concat!(
    "SELECT l.id, l.replay, s.claim_token, ",
    peer_columns!(),
    " FROM lane_state s JOIN lane l ON l.id = s.lane JOIN origin o ON o.origin = l.origin \
     WHERE s.lane = ANY($1) ORDER BY s.lane FOR NO KEY UPDATE OF s"
);

/// Locks the lanes and reads what the batch is decided by, but for the rows: those of a lane are read when it is locked.
/// Tells the replay lanes apart.
async fn lock_lanes(
    connection: &mut PgConnection,
    reports: &[Report],
) -> Result<(Before, HashMap<LaneId, bool>)> {
    let lanes: BTreeSet<_> = reports.iter().map(|report| report.lane).collect();
    let found = sqlx::query(LANES)
        .bind(ids(&lanes))
        .fetch_all(connection)
        .await
        .map_err(driver("lock lanes"))?;
    let (mut before, mut replays) = (Before::default(), HashMap::new());
    for row in &found {
        let lane = LaneId(get(row, "id")?);
        let token: Option<String> = get(row, "claim_token")?;
        let (origin, peer) = row::peer(row)?;
        before.lanes.insert(lane, (token.map(ClaimToken), origin.clone()));
        before.peers.insert(origin, peer);
        replays.insert(lane, get(row, "replay")?);
    }
    Ok((before, replays))
}

/// The rows of attempts, and the time.
pub(super) const ROWS: &str = concat!(
    "SELECT t.now, d.lane, d.position, d.state, d.attempts FROM (SELECT ",
    clock!("$3"),
    " AS now) t LEFT JOIN ( \
         SELECT d.lane, d.position, d.state, d.attempts FROM unnest($1::bigint[], $2::bigint[]) AS k (lane, position) \
         JOIN delivery d ON d.lane = k.lane AND d.position = k.position \
     ) d ON true"
);

async fn rows(
    connection: &mut PgConnection,
    reports: &[Report],
    set: Option<i64>,
) -> Result<(BTreeMap<(LaneId, u64), Row>, Timestamp)> {
    let keys = reports.iter().flat_map(|report| {
        let attempts = report.attempts.iter();
        attempts.map(|attempt| (report.lane.0, integer(attempt.position)))
    });
    let (lanes, positions): (Vec<i64>, Vec<i64>) = keys.unzip();
    let found = sqlx::query(ROWS)
        .bind(lanes)
        .bind(positions)
        .bind(set)
        .fetch_all(connection)
        .await
        .map_err(driver("read deliveries"))?;
    let now = found.first().map(|row| get(row, "now")).transpose()?;
    let now = time("delivery", "now", "", now.unwrap_or_default())?;
    let mut rows = BTreeMap::new();
    for row in &found {
        if let Some(lane) = get::<Option<i64>>(row, "lane")? {
            let (key, row) = decode(row, lane)?;
            rows.insert(key, row);
        }
    }
    Ok((rows, now))
}

fn decode(row: &PgRow, lane: i64) -> Result<((LaneId, u64), Row)> {
    let position: u64 = unsigned("delivery", "position", lane, get(row, "position")?)?;
    let key = format!("lane {lane}, position {position}");
    let state = parsed("delivery", "state", &key, get(row, "state")?)?;
    let attempts = unsigned("delivery", "attempts", &key, small(row, "attempts")?)?;
    Ok(((LaneId(lane), position), Row { state, attempts }))
}

/// Writes settled rows, and the standings that changed.
pub(super) const WRITE: &str = concat!(
    "WITH peers AS (",
    put_peers!(),
    ") UPDATE delivery d SET state = k.state, attempts = k.attempts, tries = d.tries + 1, status = k.status, \
       cause = k.cause, next_at = k.next_at, settled_at = k.settled_at \
     FROM unnest($9::bigint[], $10::bigint[], $11::text[], $12::integer[], $13::integer[], $14::text[], \
                 $15::bigint[], $16::bigint[]) \
          AS k (lane, position, state, attempts, status, cause, next_at, settled_at) \
     WHERE d.lane = k.lane AND d.position = k.position"
);

async fn write(connection: &mut PgConnection, after: &After<'_>) -> Result<()> {
    if after.rows.is_empty() && after.peers.is_empty() {
        return Ok(());
    }
    let rows = &after.rows;
    peers::bind(sqlx::query(WRITE), &after.peers)
        .bind(column(rows, |(lane, ..)| lane.0))
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
        .execute(connection)
        .await
        .map_err(driver("record outcomes"))?;
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
    connection: &mut PgConnection,
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
