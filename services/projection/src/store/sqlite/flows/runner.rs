//! What the runners can do.

use fedsx_runtime::database::driver;
use jiff::Timestamp;
use sqlx::{SqliteConnection, SqlitePool};

use crate::store::{Result, decode};

/// Also forgets those that ended without a word.
pub(super) async fn advertise(
    connection: &mut SqliteConnection,
    owner: &str,
    kinds: &[&str],
    now: Timestamp,
    until: Timestamp,
) -> Result<()> {
    sqlx::query("DELETE FROM runner WHERE alive_until <= ?")
        .bind(now.as_microsecond())
        .execute(&mut *connection)
        .await
        .map_err(driver("forget runners"))?;
    sqlx::query(
        "INSERT INTO runner (owner, kinds, alive_until) VALUES (?, ?, ?)
         ON CONFLICT (owner) DO UPDATE SET kinds = excluded.kinds, alive_until = excluded.alive_until",
    )
    .bind(owner)
    .bind(serde_json::to_vec(kinds).map_err(driver("write what a runner can do"))?)
    .bind(until.as_microsecond())
    .execute(connection)
    .await
    .map_err(driver("tell what a runner can do"))?;
    Ok(())
}

pub(super) async fn end(connection: &mut SqliteConnection, owner: &str) -> Result<()> {
    let ended = sqlx::query("DELETE FROM runner WHERE owner = ?").bind(owner);
    let ended = ended.execute(connection).await;
    ended.map_err(driver("forget a runner")).map(drop)
}

pub(super) async fn runners(pool: &SqlitePool, now: Timestamp) -> Result<Vec<(String, Vec<String>)>> {
    let rows = sqlx::query("SELECT owner, kinds FROM runner WHERE alive_until > ? ORDER BY owner")
        .bind(now.as_microsecond())
        .fetch_all(pool)
        .await
        .map_err(driver("read what runners can do"))?;
    rows.iter().map(decode::flows::runner).collect()
}
