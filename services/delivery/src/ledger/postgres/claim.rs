//! Claiming lanes. Neither transaction waits for a lane that somebody else holds: it is not granted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use fedsx_kernel::{
    delivery::{claim::claimable, peer::Peer},
    origin::Origin,
};
use fedsx_runtime::database::postgres::retried;
use jiff::Timestamp;
use sqlx::postgres::PgRow;

use super::{
    Durability, Postgres,
    candidates::{candidate, claimed},
    connection::Connection,
    owed::{Granted, take},
    peers, probe,
    row::{self, clock, get, ids, lane_columns, peer_columns, text},
};
use crate::{
    lane::{Lane, LaneId},
    ledger::{
        Claim, ClaimToken, Claims, Probe, Result,
        claim::{Candidate, PAGE, grant},
        driver,
        value::time,
    },
};

/// Lanes that somebody held for a moment, as fan-out does when it adds to a lane whose message is on its way, are tried
/// again after these. Who holds them for longer leaves them to the sweeper.
const PATIENCE: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(25)];

#[async_trait]
impl Claims for Postgres {
    async fn claim(&self, lanes: &[LaneId], token: &ClaimToken) -> Result<Vec<Claim>> {
        let mut claims = retried(|| self.claim_once(lanes, token)).await?;
        let mut wanted = HashSet::<_>::from_iter(lanes.iter().copied());
        for patience in PATIENCE {
            for claim in &claims {
                wanted.remove(&claim.lane.id);
            }
            if wanted.is_empty() {
                break;
            }
            // What is claimed is claimed, whatever comes of the rest.
            match self.claim_held(&wanted, token, patience).await {
                Ok(None) => break,
                Ok(Some(more)) => claims.extend(more),
                Err(error) => {
                    tracing::warn!(%error, "lanes that were held are left to the sweeper");
                    break;
                }
            }
        }
        Ok(claims)
    }

    async fn claim_probe(&self, origin: &Origin, why: Probe, token: &ClaimToken) -> Result<Option<Claim>> {
        retried(|| probe::claim(self, origin, why, token)).await
    }

    async fn forget_claims(&self, owner: &str) -> Result<()> {
        retried(|| self.forget_once(owner)).await
    }
}

/// The lanes that may be claimed, locked, with their origins; those that somebody holds are left out.
pub(super) const CANDIDATES: &str = concat!(
    "SELECT ",
    lane_columns!(),
    ", s.claim_until, s.next_due, ",
    peer_columns!(),
    ", ",
    clock!("$2"),
    " AS now FROM unnest($1::bigint[]) AS k (lane) JOIN lane_state s ON s.lane = k.lane \
     JOIN lane l ON l.id = s.lane JOIN origin o ON o.origin = l.origin \
     WHERE s.next_due <= ",
    clock!("$2"),
    " AND coalesce(s.claim_until, 0) <= ",
    clock!("$2"),
    " FOR NO KEY UPDATE OF s SKIP LOCKED"
);

/// The lanes that look as if they might be claimed.
pub(super) const HELD: &str = concat!(
    "SELECT s.lane FROM unnest($1::bigint[]) AS k (lane) JOIN lane_state s ON s.lane = k.lane \
     JOIN lane l ON l.id = s.lane JOIN origin o ON o.origin = l.origin \
     WHERE s.next_due <= ",
    clock!("$2"),
    " AND coalesce(s.claim_until, 0) <= ",
    clock!("$2"),
    " AND o.state <> 'parked' AND o.failing_since IS NULL AND coalesce(o.hold_until, 0) <= ",
    clock!("$2")
);

/// The claims whose tokens begin so, in full, and what is believed to be queued.
const FORGET: [&str; 2] = [
    "WITH mine AS (SELECT lane FROM lane_state WHERE starts_with(claim_token, $1) \
                   ORDER BY lane FOR NO KEY UPDATE) \
     UPDATE lane_state s SET claim_token = NULL, claim_until = NULL, sweep_at = 0 FROM mine WHERE s.lane = mine.lane",
    concat!(
        "WITH lost AS (SELECT lane FROM lane_state WHERE next_due IS NOT NULL AND NOT parked AND claim_token IS NULL \
                       AND next_due <= ",
        clock!("$1"),
        " AND sweep_at > 0 ORDER BY lane FOR NO KEY UPDATE SKIP LOCKED) \
         UPDATE lane_state s SET sweep_at = 0 FROM lost WHERE s.lane = lost.lane"
    ),
];

impl Postgres {
    async fn claim_once(&self, lanes: &[LaneId], token: &ClaimToken) -> Result<Vec<Claim>> {
        let mut transaction = self.begin(Durability::Durable).await?;
        let rows = sqlx::query(CANDIDATES)
            .bind(ids(lanes))
            .bind(self.set())
            .fetch_all(&mut *transaction)
            .await
            .map_err(driver("read lanes"))?;
        let Some(now) = latest(&rows)? else {
            return Ok(Vec::new());
        };
        let granted = granted(&mut transaction, &rows, lanes, now).await?;
        let claims = take(&mut transaction, granted, token, now, PAGE).await?;
        transaction.commit().await.map_err(driver("claim lanes"))?;
        Ok(claims)
    }

    /// Those of the lanes that somebody else held, if there are any, after a pause.
    async fn claim_held(
        &self,
        lanes: &HashSet<LaneId>,
        token: &ClaimToken,
        pause: Duration,
    ) -> Result<Option<Vec<Claim>>> {
        let held: Vec<i64> = sqlx::query_scalar(HELD)
            .bind(ids(lanes))
            .bind(self.set())
            .fetch_all(&self.pool)
            .await
            .map_err(driver("read lanes"))?;
        if held.is_empty() {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
        let held: Vec<_> = held.into_iter().map(LaneId).collect();
        retried(|| self.claim_once(&held, token)).await.map(Some)
    }

    async fn forget_once(&self, owner: &str) -> Result<()> {
        let mut transaction = self.begin(Durability::Durable).await?;
        let [mine, lost] = FORGET;
        sqlx::query(mine)
            .bind(text(&ClaimToken::prefix(owner)))
            .execute(&mut *transaction)
            .await
            .map_err(driver("forget claims"))?;
        sqlx::query(lost)
            .bind(self.set())
            .execute(&mut *transaction)
            .await
            .map_err(driver("forget claims"))?;
        transaction.commit().await.map_err(driver("forget claims"))
    }
}

/// The database's time when the last of the rows was read.
fn latest(rows: &[PgRow]) -> Result<Option<Timestamp>> {
    let mut now = None;
    for row in rows {
        now = now.max(Some(get::<i64>(row, "now")?));
    }
    now.map(|now| time("lane_state", "now", "", now)).transpose()
}

/// Those of the locked lanes that may be claimed together.
async fn granted(
    connection: &mut Connection,
    rows: &[PgRow],
    order: &[LaneId],
    now: Timestamp,
) -> Result<Vec<Granted>> {
    let (mut candidates, mut peers, mut lanes) = (Vec::new(), BTreeMap::new(), HashMap::new());
    for row in rows {
        candidates.push(candidate(row)?);
        peers.extend([row::peer(row)?]);
        let lane = row::lane(row)?;
        lanes.insert(lane.id, lane);
    }
    let place: HashMap<_, _> = order
        .iter()
        .enumerate()
        .map(|(place, lane)| (*lane, place))
        .collect();
    candidates.sort_by_key(|candidate| place.get(&candidate.lane).copied());
    let claimed = trials(connection, &candidates, &mut peers, now).await?;
    let granted = grant(&candidates, &peers, &claimed, now);
    let lane = |id: LaneId| {
        let lane: Lane = lanes.remove(&id)?;
        Some(Granted {
            peer: peers.get(&lane.origin).copied().unwrap_or(Peer::LIVE),
            due_only: lane.replay,
            lane,
        })
    };
    Ok(granted.into_iter().filter_map(lane).collect())
}

/// The failing origins of which no lane may be claimed, since one is, or since somebody else decides over that now. The
/// others are locked, and read as they stand under that lock.
async fn trials(
    connection: &mut Connection,
    candidates: &[Candidate],
    peers: &mut BTreeMap<Origin, Peer>,
    now: Timestamp,
) -> Result<BTreeSet<Origin>> {
    let tried: BTreeSet<Origin> = candidates
        .iter()
        .filter(|candidate| {
            peers.get(&candidate.origin).is_some_and(|peer| {
                peer.failing_since.is_some() && claimable(candidate.claim, peer, false, now)
            })
        })
        .map(|candidate| candidate.origin.clone())
        .collect();
    if tried.is_empty() {
        return Ok(BTreeSet::new());
    }
    let locked = peers::try_lock(connection, &tried).await?;
    let mut claimed = claimed(connection, &locked, now).await?;
    claimed.extend(tried.into_iter().filter(|origin| !locked.contains_key(origin)));
    peers.extend(locked);
    Ok(claimed)
}
