//! Forgetting what nobody needs.

use jiff::SignedDuration;

use super::{
    Durability, Postgres,
    row::{clock, troubled},
};
use crate::ledger::{Result, driver};

/// Delivered rows that ended before.
pub(super) const DELIVERED: &str = concat!(
    "WITH old AS (SELECT d.lane, d.position FROM delivery d WHERE d.state = 'delivered' AND d.told IS NOT FALSE \
     AND d.settled_at < (SELECT ",
    clock!("$3"),
    " - $1) ORDER BY d.settled_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
     DELETE FROM delivery d USING old WHERE d.lane = old.lane AND d.position = old.position"
);

/// The first position that some origin still needs the audience of. It only ever moves on, so that no lock is needed to
/// go by an older one.
macro_rules! oldest {
    () => {
        concat!(
            "(SELECT least(c.position + 1, (SELECT min(o.position) FROM origin o WHERE o.state <> 'live' AND ",
            troubled!(),
            ")) FROM cursor c)"
        )
    };
}
/// Rows that closed before that.
const CLOSED: [&str; 2] = [
    concat!("DELETE FROM audience WHERE to_position <= ", oldest!()),
    concat!("DELETE FROM block WHERE to_position <= ", oldest!()),
];

pub(super) async fn prune(ledger: &Postgres, retention: SignedDuration, limit: u32) -> Result<u64> {
    let mut transaction = ledger.begin(Durability::Forgiven).await?;
    let pruned = sqlx::query(DELIVERED)
        .bind(i64::try_from(retention.as_micros()).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .bind(ledger.set())
        .execute(&mut *transaction)
        .await
        .map_err(driver("prune deliveries"))?;
    for sql in CLOSED {
        sqlx::query(sql)
            .execute(&mut *transaction)
            .await
            .map_err(driver("prune the audience"))?;
    }
    transaction.commit().await.map_err(driver("prune"))?;
    Ok(pruned.rows_affected())
}
