//! The cursor's row and its lease. Each statement locks that one row, and nothing else.

use async_trait::async_trait;
use jiff::SignedDuration;
use sqlx::postgres::PgRow;

use super::{
    Postgres,
    connection::{Connection, Pool},
    row::{clock, get, text},
};
use crate::ledger::{Cursor, Lease, Leases, Result, driver, integer, value::unsigned};

/// Gives a new ledger its cursor and its name. Of several processes that find it empty one does.
pub(super) async fn found(pool: &Pool) -> Result<()> {
    sqlx::query(
        "INSERT INTO cursor (id, ledger, position, epoch, owner, lease_until) \
         VALUES (true, $1, 0, 0, '', 0) ON CONFLICT DO NOTHING",
    )
    .bind(format!("{:032x}", rand::random::<u128>()))
    .execute(pool)
    .await
    .map_err(driver("found the ledger"))?;
    Ok(())
}

/// Locks the cursor's row, and reads the clock after that.
pub(super) async fn lock(connection: &mut Connection, set: Option<i64>) -> Result<(Cursor, i64)> {
    let row = sqlx::query(concat!(
        "WITH locked AS MATERIALIZED (SELECT position, epoch, silent_until, ledger FROM cursor FOR UPDATE) \
         SELECT locked.*, ",
        clock!("$1"),
        " AS now FROM locked"
    ))
    .bind(set)
    .fetch_one(connection)
    .await
    .map_err(driver("lock the cursor"))?;
    Ok((cursor(&row)?, get(&row, "now")?))
}

fn cursor(row: &PgRow) -> Result<Cursor> {
    let silent_until: Option<i64> = get(row, "silent_until")?;
    Ok(Cursor {
        position: column(row, "position")?,
        epoch: column(row, "epoch")?,
        silent_until: silent_until
            .map(|until| unsigned("cursor", "silent_until", 1, until))
            .transpose()?,
        ledger: get(row, "ledger")?,
    })
}

fn column(row: &PgRow, name: &'static str) -> Result<u64> {
    unsigned("cursor", name, 1, get(row, name)?)
}

fn lease(row: &PgRow) -> Result<Lease> {
    Ok(Lease {
        epoch: column(row, "epoch")?,
        position: column(row, "position")?,
    })
}

fn micros(term: SignedDuration) -> i64 {
    // Half of what there is: the clock is added.
    i64::try_from(term.as_micros())
        .unwrap_or(i64::MAX)
        .min(i64::MAX / 2)
}

#[async_trait]
impl Leases for Postgres {
    async fn cursor(&self) -> Result<Cursor> {
        let row = sqlx::query("SELECT position, epoch, silent_until, ledger FROM cursor")
            .fetch_one(&self.pool)
            .await
            .map_err(driver("read the cursor"))?;
        cursor(&row)
    }

    async fn decide_silence(&self, until: u64) -> Result<()> {
        sqlx::query("UPDATE cursor SET silent_until = $1 WHERE silent_until IS NULL")
            .bind(integer(until))
            .execute(&self.pool)
            .await
            .map_err(driver("decide where to be silent"))?;
        Ok(())
    }

    /// Where the row was locked, its condition is asked again of what its holder left, at the time of then.
    async fn take_lease(&self, owner: &str, term: SignedDuration) -> Result<Option<Lease>> {
        let row = sqlx::query(concat!(
            "UPDATE cursor SET owner = $1, epoch = epoch + 1, lease_until = ",
            clock!("$3"),
            " + $2 WHERE owner = $1 OR lease_until <= ",
            clock!("$3"),
            " RETURNING epoch, position"
        ))
        .bind(text(owner))
        .bind(micros(term))
        .bind(self.set())
        .fetch_optional(&self.pool)
        .await
        .map_err(driver("take the lease"))?;
        row.as_ref().map(lease).transpose()
    }

    async fn renew_lease(&self, epoch: u64, term: SignedDuration) -> Result<Option<Lease>> {
        let row = sqlx::query(concat!(
            "UPDATE cursor SET lease_until = ",
            clock!("$3"),
            " + $2 WHERE epoch = $1 RETURNING epoch, position"
        ))
        .bind(integer(epoch))
        .bind(micros(term))
        .bind(self.set())
        .fetch_optional(&self.pool)
        .await
        .map_err(driver("renew the lease"))?;
        row.as_ref().map(lease).transpose()
    }

    async fn yield_lease(&self, epoch: u64) -> Result<()> {
        sqlx::query("UPDATE cursor SET lease_until = 0, owner = '' WHERE epoch = $1")
            .bind(integer(epoch))
            .execute(&self.pool)
            .await
            .map_err(driver("yield the lease"))?;
        Ok(())
    }
}
