//! The ledger as operators read it.

use async_trait::async_trait;
use fedsx_kernel::{cid::Cid, delivery::row::DeliveryState};
use sqlx::{QueryBuilder, Row as _, sqlite::SqliteRow};

use super::{
    Sqlite, members,
    row::{self, integer, lane_columns, maybe_time, micros, parsed, peer_columns, unsigned},
};
use crate::{
    lane::{AddressKind, Lane},
    ledger::{Filter, PageToken, PeerRow, Queries, Recorded, Result},
};

#[async_trait]
impl Queries for Sqlite {
    async fn list(&self, filter: &Filter, after: Option<PageToken>, limit: u32) -> Result<Vec<Recorded>> {
        let mut query = QueryBuilder::new(concat!(
            "SELECT ",
            lane_columns!(),
            ", d.position, d.cid, d.state, d.tries, d.status, d.cause, d.next_at, d.trace \
             FROM delivery d JOIN lane l ON l.id = d.lane WHERE true"
        ));
        if let Some(token) = after {
            query
                .push(" AND (d.position, d.lane) < (")
                .push_bind(integer(token.position));
            query.push(", ").push_bind(token.lane.0).push(")");
        }
        // The state is no parameter, so that the partial indexes are found.
        query.push(match filter.state {
            None => "",
            Some(DeliveryState::Pending) => " AND d.state = 'pending'",
            Some(DeliveryState::Delivered) => " AND d.state = 'delivered'",
            Some(DeliveryState::Refused) => " AND d.state = 'refused'",
            Some(DeliveryState::Dead) => " AND d.state = 'dead'",
        });
        if let Some(origin) = &filter.origin {
            query.push(" AND l.origin = ").push_bind(origin.as_str());
        }
        if let Some(cid) = &filter.cid {
            query.push(" AND d.cid = ").push_bind(cid);
        }
        query
            .push(" ORDER BY d.position DESC, d.lane DESC LIMIT ")
            .push_bind(limit);
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(recorded).collect()
    }

    async fn list_peers(&self) -> Result<Vec<PeerRow>> {
        let rows = sqlx::query(concat!(
            "WITH pending AS (SELECT l.origin, count(*) AS number FROM delivery d JOIN lane l ON l.id = d.lane \
             WHERE d.state = 'pending' GROUP BY l.origin), \
             dead AS (SELECT l.origin, count(*) AS number FROM delivery d JOIN lane l ON l.id = d.lane \
             WHERE d.state = 'dead' GROUP BY l.origin) SELECT ",
            peer_columns!(),
            ", coalesce(p.number, 0) AS pending, coalesce(q.number, 0) AS dead FROM origin o \
             LEFT JOIN pending p ON p.origin = o.origin LEFT JOIN dead q ON q.origin = o.origin \
             ORDER BY o.origin"
        ))
        .fetch_all(&self.reader)
        .await?;
        rows.iter()
            .map(|row| {
                let (origin, peer) = row::peer(row)?;
                let pending = unsigned("delivery", "count", &origin, row.try_get("pending")?)?;
                let dead = unsigned("delivery", "count", &origin, row.try_get("dead")?)?;
                Ok(PeerRow {
                    origin,
                    peer,
                    pending,
                    dead,
                })
            })
            .collect()
    }

    async fn pending(&self) -> Result<u64> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM delivery WHERE state = 'pending'")
            .fetch_one(&self.reader)
            .await?;
        unsigned("delivery", "count", "pending", count)
    }

    async fn lanes_due(&self) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM origin o CROSS JOIN lane l ON l.origin = o.origin AND l.next_due <= ?1 \
             WHERE o.state <> 'parked' AND coalesce(o.hold_until, 0) <= ?1 \
             AND coalesce(l.claim_until, 0) <= ?1",
        )
        .bind(micros(self.now()))
        .fetch_one(&self.reader)
        .await?;
        unsigned("lane", "count", "due", count)
    }

    async fn follower_of(&self, lane: &Lane) -> Result<Option<String>> {
        if lane.kind == AddressKind::Actor {
            return Ok(Some(lane.address.clone()));
        }
        Ok(sqlx::query_scalar(
            "SELECT follower FROM audience WHERE actor = ?1 AND inbox = ?2 AND to_position IS NULL LIMIT 1",
        )
        .bind(&lane.actor)
        .bind(&lane.address)
        .fetch_optional(&self.reader)
        .await?)
    }

    async fn follows_of(&self, lane: &Lane) -> Result<Vec<Cid>> {
        let rows = sqlx::query_scalar(
            "SELECT follow_cid FROM audience WHERE actor = ?1 AND to_position IS NULL \
             AND (inbox = ?2 OR (inbox IS NULL AND follower = ?2)) ORDER BY follow_cid",
        )
        .bind(&lane.actor)
        .bind(&lane.address)
        .fetch_all(&self.reader)
        .await?;
        members::cids(rows)
    }
}

fn recorded(row: &SqliteRow) -> Result<Recorded> {
    let lane = row::lane(row)?;
    let position: u64 = unsigned("delivery", "position", lane.id, row.try_get("position")?)?;
    let key = format!("lane {}, position {position}", lane.id);
    Ok(Recorded {
        position,
        cid: row.try_get("cid")?,
        state: parsed("delivery", "state", &key, row.try_get("state")?)?,
        attempts: unsigned("delivery", "tries", &key, row.try_get("tries")?)?,
        status: unsigned("delivery", "status", &key, row.try_get("status")?)?,
        cause: row.try_get("cause")?,
        next_at: maybe_time("delivery", "next_at", &key, row.try_get("next_at")?)?,
        trace: row.try_get("trace")?,
        lane,
    })
}
