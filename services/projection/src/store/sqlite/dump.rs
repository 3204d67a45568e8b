//! A whole view, as it is at one moment.

use fedsx_runtime::database::driver;
use futures::TryStreamExt as _;
use sqlx::SqlitePool;
use tokio::sync::mpsc;

use super::read;
use crate::store::{Result, Row, Shard, decode, pages::Pages};

pub(super) async fn dump(pool: &SqlitePool, view: &str, pages: mpsc::Sender<Vec<Row>>) -> Result<Vec<Shard>> {
    // It sees the file as it is at its first read.
    let mut transaction = pool.begin().await.map_err(driver("begin a read"))?;
    let mut shards = read::shards(&mut *transaction).await?;
    shards.retain(|shard| shard.id.view == view);
    let mut pages = Pages::new(pages);
    let query = sqlx::query("SELECT key, position, value FROM view_row WHERE view = ? ORDER BY key");
    let mut rows = query.bind(view).fetch(&mut *transaction);
    let mut taken = true;
    while taken && let Some(row) = rows.try_next().await.map_err(driver("read a view"))? {
        taken = pages.push(decode::view_row(&row)?).await;
    }
    drop(rows);
    pages.send().await;
    transaction.commit().await.map_err(driver("end a read"))?;
    Ok(shards)
}
