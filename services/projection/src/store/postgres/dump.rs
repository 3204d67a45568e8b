//! A whole view, as it is at one moment.

use fedsx_runtime::database::driver;
use futures::TryStreamExt as _;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;

use super::read;
use crate::store::{Result, Row, Shard, decode, pages::Pages};

/// Whoever takes the rows may be busy for so long.
const IDLE: &str = "SET LOCAL idle_in_transaction_session_timeout = '30s'";
pub(super) const ROWS: &str = "DECLARE whole NO SCROLL CURSOR FOR SELECT key, position, value FROM view_row WHERE view = $1 ORDER BY key";
/// Each page of the cursor is a statement, so that none takes longer the larger the view is.
const PAGE: &str = "FETCH 200 FROM whole";

/// A transaction that sees the database as it is at its first read, and keeps nobody from writing.
pub(super) async fn dump(
    connection: &mut PgConnection,
    view: &str,
    pages: mpsc::Sender<Vec<Row>>,
) -> Result<Vec<Shard>> {
    let begun = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let mut transaction = begun.await.map_err(driver("begin a read"))?;
    let idle = sqlx::query(IDLE).execute(&mut *transaction).await;
    idle.map_err(driver("begin a read"))?;
    let mut shards = read::shards(&mut transaction).await?;
    shards.retain(|shard| shard.id.view == view);
    let declared = sqlx::query(ROWS).bind(view).execute(&mut *transaction).await;
    declared.map_err(driver("read a view"))?;
    let mut pages = Pages::new(pages);
    while page(&mut transaction, &mut pages).await? {}
    pages.send().await;
    transaction.commit().await.map_err(driver("end a read"))?;
    Ok(shards)
}

/// Whether there may be more, and somebody who takes it.
async fn page(connection: &mut PgConnection, pages: &mut Pages) -> Result<bool> {
    let mut rows = sqlx::query(PAGE).fetch(connection);
    let mut any = false;
    while let Some(row) = rows.try_next().await.map_err(driver("read a view"))? {
        if !pages.push(decode::view_row(&row)?).await {
            return Ok(false);
        }
        any = true;
    }
    Ok(any)
}
