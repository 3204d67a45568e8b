//! Forgetting what nobody needs.

use jiff::SignedDuration;

use super::Sqlite;
use crate::ledger::{Result, driver, value::micros};

pub(super) async fn prune(ledger: &Sqlite, retention: SignedDuration, limit: u32) -> Result<u64> {
    let mut transaction = ledger.begin().await?;
    let before = ledger.now().saturating_sub(retention).unwrap_or_default();
    let rows = sqlx::query(
        "DELETE FROM delivery WHERE (lane, position) IN (SELECT lane, position FROM delivery \
         WHERE state = 'delivered' AND told IS NOT 0 AND settled_at < ?1 LIMIT ?2)",
    )
    .bind(micros(before))
    .bind(limit)
    .execute(&mut *transaction)
    .await
    .map_err(driver("prune"))?;
    // The first position that some origin still needs the audience of: an origin is past a row that closed before that.
    let oldest: i64 = sqlx::query_scalar(
        "SELECT min(c.position + 1, coalesce((SELECT min(o.position) FROM origin o \
         WHERE o.state <> 'live'), c.position + 1)) FROM cursor c",
    )
    .fetch_one(&mut *transaction)
    .await
    .map_err(driver("prune"))?;
    for closed in [
        "DELETE FROM audience WHERE to_position <= ?1",
        "DELETE FROM block WHERE to_position <= ?1",
    ] {
        sqlx::query(closed)
            .bind(oldest)
            .execute(&mut *transaction)
            .await
            .map_err(driver("prune"))?;
    }
    transaction.commit().await.map_err(driver("prune"))?;
    Ok(rows.rows_affected())
}
