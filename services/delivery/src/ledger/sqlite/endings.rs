//! Whose ends flows wait for.

use async_trait::async_trait;

use super::{
    Sqlite,
    row::{get, json},
};
use crate::ledger::{
    Ended, Endings, Result, driver, integer,
    value::{StoredEnd, ended, micros},
};

const UNTOLD: &str = "SELECT d.lane, d.position, d.state, d.status, d.cause, d.settled_at, d.trace \
     FROM delivery d INDEXED BY delivery_untold WHERE d.told = 0 AND d.state <> 'pending' \
     ORDER BY d.position, d.lane LIMIT ?1";

#[async_trait]
impl Endings for Sqlite {
    async fn untold(&self, limit: u32) -> Result<Vec<Ended>> {
        let rows = sqlx::query(UNTOLD)
            .bind(limit)
            .fetch_all(&self.pools.reader)
            .await
            .map_err(driver("find ends to be told"))?;
        let stored = rows.iter().map(|row| {
            Ok(StoredEnd {
                lane: get(row, "lane")?,
                position: get(row, "position")?,
                state: get(row, "state")?,
                status: get(row, "status")?,
                cause: get(row, "cause")?,
                settled_at: get(row, "settled_at")?,
                trace: get(row, "trace")?,
            })
        });
        stored.map(|stored| ended(stored?)).collect()
    }

    async fn told(&self, ended: &[Ended]) -> Result<()> {
        let keys: Vec<_> = ended
            .iter()
            .map(|ended| (ended.key.lane.0, integer(ended.key.position), micros(ended.at)))
            .collect();
        sqlx::query(
            "UPDATE delivery SET told = 1 WHERE state <> 'pending' AND (lane, position, settled_at) IN \
             (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))",
        )
        .bind(json(&keys)?)
        .execute(&self.pools.writer)
        .await
        .map_err(driver("set ends down as told"))?;
        Ok(())
    }
}
