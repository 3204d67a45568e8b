//! Whose ends flows wait for.

use async_trait::async_trait;
use fedsx_runtime::database::postgres::retried;

use super::{
    Postgres,
    row::{column, get, small},
};
use crate::ledger::{
    Ended, Endings, Result, driver, integer,
    value::{StoredEnd, ended, micros},
};

pub(super) const UNTOLD: &str = "SELECT d.lane, d.position, d.state, d.status, d.cause, d.settled_at, d.trace \
     FROM delivery d WHERE d.told = false AND d.state <> 'pending' ORDER BY d.position, d.lane LIMIT $1";

/// Those that have not ended anew, locked in order.
pub(super) const TOLD: &str = "WITH told AS ( \
         SELECT d.lane, d.position FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (lane, position, settled_at) \
         JOIN delivery d ON d.lane = k.lane AND d.position = k.position AND d.settled_at = k.settled_at \
         WHERE d.state <> 'pending' ORDER BY d.lane, d.position FOR UPDATE OF d \
     ) UPDATE delivery d SET told = true FROM told k WHERE d.lane = k.lane AND d.position = k.position";

#[async_trait]
impl Endings for Postgres {
    async fn untold(&self, limit: u32) -> Result<Vec<Ended>> {
        let rows = sqlx::query(UNTOLD)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(driver("find ends to be told"))?;
        let stored = rows.iter().map(|row| {
            Ok(StoredEnd {
                lane: get(row, "lane")?,
                position: get(row, "position")?,
                state: get(row, "state")?,
                status: small(row, "status")?,
                cause: get(row, "cause")?,
                settled_at: get(row, "settled_at")?,
                trace: get(row, "trace")?,
            })
        });
        stored.map(|stored| ended(stored?)).collect()
    }

    async fn told(&self, ended: &[Ended]) -> Result<()> {
        let told = async || {
            sqlx::query(TOLD)
                .bind(column(ended, |ended| ended.key.lane.0))
                .bind(column(ended, |ended| integer(ended.key.position)))
                .bind(column(ended, |ended| micros(ended.at)))
                .execute(&self.pool)
                .await
                .map_err(driver("set ends down as told"))?;
            Ok(())
        };
        retried(told).await
    }
}
