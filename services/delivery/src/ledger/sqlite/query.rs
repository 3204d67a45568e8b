//! The ledger as operators read it.

use async_trait::async_trait;
use fedsx_kernel::{cid::Cid, origin::Origin};
use sqlx::{QueryBuilder, sqlite::SqliteRow};

use super::{
    Sqlite, members,
    row::{self, get, lane_columns, peer_columns},
};
use crate::{
    lane::{AddressKind, Lane},
    ledger::{
        Filter, PageToken, PeerRow, Queries, Recorded, Result, driver, integer,
        query::DEAD_LETTERS,
        value::{any_of, maybe_time, micros, parsed, unsigned},
    },
};

/// Peers by name, after `?1`, or this very one (`?2`), at most `?3`.
pub(super) const PEERS: &str = concat!(
    "SELECT ",
    peer_columns!(),
    ", EXISTS (SELECT 1 FROM block b WHERE b.origin = o.origin AND b.to_position IS NULL) AS blocked, \
     (SELECT count(*) FROM lane l CROSS JOIN delivery d ON d.lane = l.id AND d.state = 'pending' \
      WHERE l.origin = o.origin AND l.next_due IS NOT NULL) AS pending, \
     (SELECT count(*) FROM lane l CROSS JOIN delivery d INDEXED BY delivery_dead_lane ON d.lane = l.id \
      AND d.state IN ('refused', 'dead') AND d.state = 'refused' WHERE l.origin = o.origin) AS refused, \
     (SELECT count(*) FROM lane l CROSS JOIN delivery d INDEXED BY delivery_dead_lane ON d.lane = l.id \
      AND d.state IN ('refused', 'dead') AND d.state = 'dead' WHERE l.origin = o.origin) AS dead \
     FROM (SELECT * FROM origin UNION ALL SELECT DISTINCT b.origin, 'live', NULL, NULL, NULL, NULL, NULL, NULL \
           FROM block b WHERE b.to_position IS NULL AND NOT EXISTS (SELECT 1 FROM origin o WHERE o.origin = b.origin)) o \
     WHERE o.origin > ?1 AND (?2 IS NULL OR o.origin = ?2) ORDER BY o.origin LIMIT ?3"
);

#[async_trait]
impl Queries for Sqlite {
    async fn list(&self, filter: &Filter, after: Option<PageToken>, limit: u32) -> Result<Vec<Recorded>> {
        let mut query = QueryBuilder::new(concat!(
            "SELECT ",
            lane_columns!(),
            ", d.position, d.cid, d.state, d.tries, d.status, d.cause, d.next_at, d.trace, d.replica \
             FROM delivery d JOIN lane l ON l.id = d.lane WHERE true"
        ));
        if let Some(token) = after {
            query
                .push(" AND (d.position, d.lane) < (")
                .push_bind(integer(token.position));
            query.push(", ").push_bind(token.lane.0).push(")");
        }
        // States are no parameters, so that the partial indexes are found.
        if filter.is_dead_letters() {
            query.push(any_of(&DEAD_LETTERS));
        }
        if !filter.states.is_empty() {
            query.push(any_of(&filter.states));
        }
        if let Some(origin) = &filter.origin {
            query.push(" AND l.origin = ").push_bind(origin.as_str());
        }
        if let Some(cid) = &filter.cid {
            query.push(" AND d.cid = ").push_bind(cid);
        }
        if let Some(address) = &filter.address {
            query.push(" AND l.address = ").push_bind(address);
        }
        query
            .push(" ORDER BY d.position DESC, d.lane DESC LIMIT ")
            .push_bind(limit);
        let rows = query.build().fetch_all(&self.pools.reader).await;
        let rows = rows.map_err(driver("list deliveries"))?;
        rows.iter().map(recorded).collect()
    }

    async fn list_peers(&self, after: Option<&Origin>, limit: u32) -> Result<Vec<PeerRow>> {
        self.peers(after, None, limit).await
    }

    async fn peer(&self, origin: &Origin) -> Result<Option<PeerRow>> {
        Ok(self.peers(None, Some(origin), 1).await?.pop())
    }

    async fn pending(&self) -> Result<u64> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM delivery WHERE state = 'pending'")
            .fetch_one(&self.pools.reader)
            .await
            .map_err(driver("count what is pending"))?;
        unsigned("delivery", "count", "pending", count)
    }

    async fn lanes_due(&self) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM origin o CROSS JOIN lane l ON l.origin = o.origin AND l.next_due <= ?1 \
             WHERE o.state <> 'parked' AND coalesce(o.hold_until, 0) <= ?1 \
             AND coalesce(l.claim_until, 0) <= ?1",
        )
        .bind(micros(self.now()))
        .fetch_one(&self.pools.reader)
        .await
        .map_err(driver("count due lanes"))?;
        unsigned("lane", "count", "due", count)
    }

    async fn follower_of(&self, lane: &Lane) -> Result<Option<String>> {
        if lane.kind == AddressKind::Actor {
            return Ok(Some(lane.address.clone()));
        }
        sqlx::query_scalar(
            "SELECT follower FROM audience WHERE actor = ?1 AND inbox = ?2 AND to_position IS NULL LIMIT 1",
        )
        .bind(&lane.actor)
        .bind(&lane.address)
        .fetch_optional(&self.pools.reader)
        .await
        .map_err(driver("find a follower"))
    }

    async fn follows_of(&self, lane: &Lane) -> Result<Vec<Cid>> {
        let rows = sqlx::query_scalar(
            "SELECT follow_cid FROM audience WHERE actor = ?1 AND to_position IS NULL \
             AND (inbox = ?2 OR (inbox IS NULL AND follower = ?2)) ORDER BY follow_cid",
        )
        .bind(&lane.actor)
        .bind(&lane.address)
        .fetch_all(&self.pools.reader)
        .await
        .map_err(driver("find follows"))?;
        members::cids(rows)
    }
}

impl Sqlite {
    async fn peers(&self, after: Option<&Origin>, only: Option<&Origin>, limit: u32) -> Result<Vec<PeerRow>> {
        let rows = sqlx::query(PEERS)
            .bind(after.map_or("", Origin::as_str))
            .bind(only.map(Origin::as_str))
            .bind(limit)
            .fetch_all(&self.pools.reader)
            .await
            .map_err(driver("list peers"))?;
        rows.iter().map(peer).collect()
    }
}

fn peer(row: &SqliteRow) -> Result<PeerRow> {
    let (origin, peer) = row::peer(row)?;
    let count = |column| unsigned("delivery", "count", &origin, get(row, column)?);
    Ok(PeerRow {
        blocked: get(row, "blocked")?,
        pending: count("pending")?,
        refused: count("refused")?,
        dead: count("dead")?,
        peer,
        origin,
    })
}

fn recorded(row: &SqliteRow) -> Result<Recorded> {
    let lane = row::lane(row)?;
    let position: u64 = unsigned("delivery", "position", lane.id, get(row, "position")?)?;
    let key = format!("lane {}, position {position}", lane.id);
    Ok(Recorded {
        position,
        cid: get(row, "cid")?,
        state: parsed("delivery", "state", &key, get(row, "state")?)?,
        attempts: unsigned("delivery", "tries", &key, get(row, "tries")?)?,
        status: unsigned("delivery", "status", &key, get(row, "status")?)?,
        cause: get(row, "cause")?,
        next_at: maybe_time("delivery", "next_at", &key, get(row, "next_at")?)?,
        trace: get(row, "trace")?,
        replica: get(row, "replica")?,
        lane,
    })
}
