//! What the runners can do.

use fedsx_runtime::database::driver;
use jiff::SignedDuration;
use sqlx::PgConnection;

use super::{clock, micros};
use crate::store::{Result, decode};

/// Also forgets those that ended without a word.
const ADVERTISE: &str = concat!(
    "WITH ",
    clock!("$1"),
    ", dead AS (
        SELECT owner FROM runner WHERE owner <> $2 AND alive_until <= (SELECT now FROM clock) FOR UPDATE SKIP LOCKED
    ), forgotten AS (DELETE FROM runner WHERE owner IN (SELECT owner FROM dead))
    INSERT INTO runner (owner, kinds, alive_until) SELECT $2, $3, now + $4 FROM clock
    ON CONFLICT (owner) DO UPDATE SET kinds = excluded.kinds, alive_until = excluded.alive_until"
);

pub(super) async fn advertise(
    connection: &mut PgConnection,
    owner: &str,
    kinds: &[&str],
    term: Option<SignedDuration>,
    clock: Option<i64>,
) -> Result<()> {
    let query = match term {
        None => sqlx::query("DELETE FROM runner WHERE owner = $1").bind(owner),
        Some(term) => sqlx::query(ADVERTISE)
            .bind(clock)
            .bind(owner)
            .bind(serde_json::to_vec(kinds).map_err(driver("write what a runner can do"))?)
            .bind(micros(term)),
    };
    let done = query.execute(connection).await;
    done.map_err(driver("tell what a runner can do")).map(drop)
}

const RUNNERS: &str = concat!(
    "WITH ",
    clock!("$1"),
    "SELECT owner, kinds FROM runner WHERE alive_until > (SELECT now FROM clock) ORDER BY owner"
);

pub(super) async fn runners(
    connection: &mut PgConnection,
    clock: Option<i64>,
) -> Result<Vec<(String, Vec<String>)>> {
    let rows = sqlx::query(RUNNERS).bind(clock).fetch_all(connection).await;
    let rows = rows.map_err(driver("read what runners can do"))?;
    rows.iter().map(decode::flows::runner).collect()
}
