//! The ledger as operators read it, without a lock.

use async_trait::async_trait;
use fedsx_kernel::{cid::Cid, origin::Origin};
use sqlx::{Postgres as Db, QueryBuilder, postgres::PgRow};

use super::{
    Postgres, members,
    row::{self, clock, get, lane_columns, peer_columns, small, text, troubled},
};
use crate::{
    lane::{AddressKind, Lane},
    ledger::{
        Filter, PageToken, PeerRow, Queries, Recorded, Result, driver, integer,
        query::DEAD_LETTERS,
        value::{any_of, maybe_time, parsed, unsigned},
    },
};

/// Peers with their counts, of a table of peers.
macro_rules! counted {
    ($peers:literal) => {
        concat!(
            "SELECT ",
            peer_columns!(),
            ", EXISTS (SELECT 1 FROM block b WHERE b.origin = o.origin AND b.to_position IS NULL) AS blocked, \
             n.pending, n.refused, n.dead FROM (",
            $peers,
            ") o CROSS JOIN LATERAL ( \
                 SELECT coalesce(sum(p.pending), 0)::bigint AS pending, coalesce(sum(m.refused), 0)::bigint AS refused, \
                        coalesce(sum(m.dead), 0)::bigint AS dead \
                 FROM lane l CROSS JOIN LATERAL ( \
                     SELECT count(*) AS pending FROM delivery d WHERE d.lane = l.id AND d.state = 'pending' \
                 ) p CROSS JOIN LATERAL ( \
                     SELECT count(*) FILTER (WHERE d.state = 'refused') AS refused, \
                            count(*) FILTER (WHERE d.state = 'dead') AS dead \
                     FROM delivery d WHERE d.lane = l.id AND d.state IN ('refused', 'dead') \
                 ) m WHERE l.origin = o.origin \
             ) n ORDER BY o.origin"
        )
    };
}

/// Peers by name, after `$1`, at most `$2`: those that have lanes, or that are blocked.
pub(super) const PEERS: &str = counted!(
    "SELECT * FROM ( \
         (SELECT * FROM origin o WHERE o.origin > $1 ORDER BY o.origin LIMIT $2) \
         UNION ALL \
         (SELECT DISTINCT b.origin, 'live', NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, \
                 NULL::bigint FROM block b WHERE b.origin > $1 AND b.to_position IS NULL \
          AND NOT EXISTS (SELECT 1 FROM origin o WHERE o.origin = b.origin) ORDER BY b.origin LIMIT $2) \
     ) o ORDER BY o.origin LIMIT $2"
);
/// One of them, `$1`.
pub(super) const PEER: &str = counted!(
    "SELECT * FROM origin o WHERE o.origin = $1 AND $2 > 0 \
     UNION ALL \
     SELECT DISTINCT b.origin, 'live', NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, \
            NULL::bigint FROM block b WHERE b.origin = $1 AND b.to_position IS NULL \
     AND NOT EXISTS (SELECT 1 FROM origin o WHERE o.origin = b.origin)"
);

/// Lanes that are due and unclaimed.
macro_rules! due {
    () => {
        "s.next_due IS NOT NULL AND NOT s.parked AND s.next_due <= t.now AND coalesce(s.claim_until, 0) <= t.now"
    };
}
/// All that are due, of origins that are not parked, less those that are held.
pub(super) const LANES_DUE: &str = concat!(
    "SELECT (SELECT count(*) FROM lane_state s WHERE ",
    due!(),
    ") - (SELECT count(*) FROM (SELECT o.origin FROM origin o WHERE o.hold_until > t.now AND ",
    troubled!(),
    " OFFSET 0) o CROSS JOIN LATERAL (SELECT l.id FROM lane l WHERE l.origin = o.origin OFFSET 0) l \
       JOIN lane_state s ON s.lane = l.id WHERE ",
    due!(),
    ") FROM (SELECT ",
    clock!("$1"),
    " AS now) t"
);

pub(super) const PENDING: &str = "SELECT count(*) FROM delivery WHERE state = 'pending'";

/// What a page of deliveries is asked by.
pub(super) fn page(filter: &Filter, after: Option<PageToken>, limit: u32) -> QueryBuilder<Db> {
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
        query
            .push(" AND l.origin = ")
            .push_bind(origin.as_str().to_owned());
    }
    if let Some(cid) = &filter.cid {
        query.push(" AND d.cid = ").push_bind(text(cid).into_owned());
    }
    if let Some(address) = &filter.address {
        query
            .push(" AND l.address = ")
            .push_bind(text(address).into_owned());
    }
    // One activity's deliveries are found by its CID and then sorted, or all that are newer would be gone through.
    let order = match filter.cid {
        Some(_) => " ORDER BY d.position + 0 DESC, d.lane DESC LIMIT ",
        None => " ORDER BY d.position DESC, d.lane DESC LIMIT ",
    };
    query.push(order).push_bind(i64::from(limit));
    query
}

#[async_trait]
impl Queries for Postgres {
    async fn list(&self, filter: &Filter, after: Option<PageToken>, limit: u32) -> Result<Vec<Recorded>> {
        let mut query = page(filter, after, limit);
        let rows = query.build().fetch_all(&self.pool).await;
        let rows = rows.map_err(driver("list deliveries"))?;
        rows.iter().map(recorded).collect()
    }

    async fn list_peers(&self, after: Option<&Origin>, limit: u32) -> Result<Vec<PeerRow>> {
        self.peers(PEERS, after.map_or("", Origin::as_str), limit).await
    }

    async fn peer(&self, origin: &Origin) -> Result<Option<PeerRow>> {
        Ok(self.peers(PEER, origin.as_str(), 1).await?.pop())
    }

    async fn pending(&self) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(PENDING)
            .fetch_one(&self.pool)
            .await
            .map_err(driver("count what is pending"))?;
        unsigned("delivery", "count", "pending", count)
    }

    async fn lanes_due(&self) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(LANES_DUE)
            .bind(self.set())
            .fetch_one(&self.pool)
            .await
            .map_err(driver("count due lanes"))?;
        unsigned("lane_state", "count", "due", count)
    }

    async fn follower_of(&self, lane: &Lane) -> Result<Option<String>> {
        if lane.kind == AddressKind::Actor {
            return Ok(Some(lane.address.clone()));
        }
        sqlx::query_scalar(
            "SELECT follower FROM audience WHERE actor = $1 AND inbox = $2 AND to_position IS NULL LIMIT 1",
        )
        .bind(text(&lane.actor))
        .bind(text(&lane.address))
        .fetch_optional(&self.pool)
        .await
        .map_err(driver("find a follower"))
    }

    async fn follows_of(&self, lane: &Lane) -> Result<Vec<Cid>> {
        let rows = sqlx::query_scalar(
            "SELECT follow_cid FROM audience WHERE actor = $1 AND inbox = $2 AND to_position IS NULL \
             UNION ALL SELECT follow_cid FROM audience WHERE actor = $1 AND follower = $2 AND inbox IS NULL \
             AND to_position IS NULL ORDER BY follow_cid",
        )
        .bind(text(&lane.actor))
        .bind(text(&lane.address))
        .fetch_all(&self.pool)
        .await
        .map_err(driver("find follows"))?;
        members::cids(rows)
    }
}

impl Postgres {
    async fn peers(&self, sql: &'static str, name: &str, limit: u32) -> Result<Vec<PeerRow>> {
        let rows = sqlx::query(sql)
            .bind(name)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(driver("list peers"))?;
        rows.iter().map(peer).collect()
    }
}

fn peer(row: &PgRow) -> Result<PeerRow> {
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

fn recorded(row: &PgRow) -> Result<Recorded> {
    let lane = row::lane(row)?;
    let position: u64 = unsigned("delivery", "position", lane.id, get(row, "position")?)?;
    let key = format!("lane {}, position {position}", lane.id);
    Ok(Recorded {
        position,
        cid: get(row, "cid")?,
        state: parsed("delivery", "state", &key, get(row, "state")?)?,
        attempts: unsigned("delivery", "tries", &key, small(row, "tries")?)?,
        status: unsigned("delivery", "status", &key, small(row, "status")?)?,
        cause: get(row, "cause")?,
        next_at: maybe_time("delivery", "next_at", &key, get(row, "next_at")?)?,
        trace: get(row, "trace")?,
        replica: get(row, "replica")?,
        lane,
    })
}
