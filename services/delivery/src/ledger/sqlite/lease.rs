//! The cursor's row and its lease.

use async_trait::async_trait;
use jiff::SignedDuration;
use sqlx::{SqliteExecutor, SqlitePool, sqlite::SqliteRow};

use super::{Sqlite, row::get};
use crate::ledger::{
    Cursor, Lease, Leases, Result, driver, integer,
    value::{micros, unsigned},
};

/// Gives a new ledger its cursor and its name.
pub(super) async fn found(pool: &SqlitePool) -> Result<()> {
    sqlx::query(
        "INSERT INTO cursor (id, ledger, position, epoch, owner, lease_until) \
         VALUES (1, ?1, 0, 0, '', 0) ON CONFLICT DO NOTHING",
    )
    .bind(format!("{:032x}", rand::random::<u128>()))
    .execute(pool)
    .await
    .map_err(driver("found the ledger"))?;
    Ok(())
}

/// The cursor, as this connection sees it.
pub(super) async fn read(executor: impl SqliteExecutor<'_>) -> Result<Cursor> {
    let row = sqlx::query("SELECT position, epoch, silent_until, ledger FROM cursor")
        .fetch_one(executor)
        .await
        .map_err(driver("read the cursor"))?;
    let silent_until: Option<i64> = get(&row, "silent_until")?;
    Ok(Cursor {
        position: column(&row, "position")?,
        epoch: column(&row, "epoch")?,
        silent_until: silent_until
            .map(|until| unsigned("cursor", "silent_until", 1, until))
            .transpose()?,
        ledger: get(&row, "ledger")?,
    })
}

fn column(row: &SqliteRow, name: &'static str) -> Result<u64> {
    unsigned("cursor", name, 1, get(row, name)?)
}

fn lease(row: &SqliteRow) -> Result<Lease> {
    Ok(Lease {
        epoch: column(row, "epoch")?,
        position: column(row, "position")?,
    })
}

#[async_trait]
impl Leases for Sqlite {
    async fn cursor(&self) -> Result<Cursor> {
        read(&self.pools.reader).await
    }

    async fn decide_silence(&self, until: u64) -> Result<()> {
        sqlx::query("UPDATE cursor SET silent_until = ?1 WHERE silent_until IS NULL")
            .bind(integer(until))
            .execute(&self.pools.writer)
            .await
            .map_err(driver("decide where to be silent"))?;
        Ok(())
    }

    async fn take_lease(&self, owner: &str, term: SignedDuration) -> Result<Option<Lease>> {
        let now = self.now();
        let row = sqlx::query(
            "UPDATE cursor SET owner = ?1, epoch = epoch + 1, lease_until = ?2 \
             WHERE owner = ?1 OR lease_until <= ?3 RETURNING epoch, position",
        )
        .bind(owner)
        .bind(micros(now.saturating_add(term).unwrap_or(now)))
        .bind(micros(now))
        .fetch_optional(&self.pools.writer)
        .await
        .map_err(driver("take the lease"))?;
        row.as_ref().map(lease).transpose()
    }

    async fn renew_lease(&self, epoch: u64, term: SignedDuration) -> Result<Option<Lease>> {
        let now = self.now();
        let row =
            sqlx::query("UPDATE cursor SET lease_until = ?1 WHERE epoch = ?2 RETURNING epoch, position")
                .bind(micros(now.saturating_add(term).unwrap_or(now)))
                .bind(integer(epoch))
                .fetch_optional(&self.pools.writer)
                .await
                .map_err(driver("renew the lease"))?;
        row.as_ref().map(lease).transpose()
    }

    async fn yield_lease(&self, epoch: u64) -> Result<()> {
        sqlx::query("UPDATE cursor SET lease_until = 0, owner = '' WHERE epoch = ?1")
            .bind(integer(epoch))
            .execute(&self.pools.writer)
            .await
            .map_err(driver("yield the lease"))?;
        Ok(())
    }
}
