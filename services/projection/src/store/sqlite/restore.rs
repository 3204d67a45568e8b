//! A view from what was kept of it.

use fedsx_runtime::database::{driver, sqlite::Pools};
use futures::{TryStreamExt as _, stream::BoxStream};

use super::{CHUNK, write};
use crate::{
    shard::ShardId,
    store::{Advance, Change, Result},
};

/// All of it in one transaction, which ends in vain where it is dropped.
pub(super) async fn restore(
    pools: &Pools,
    view: &str,
    mut pages: BoxStream<'_, Result<Vec<Change>>>,
    advances: &[Advance],
) -> Result<Vec<ShardId>> {
    let mut transaction = pools.begin().await?;
    while let Some(page) = pages.try_next().await? {
        let rows: Vec<(&str, &Change)> = page.iter().map(|change| (view, change)).collect();
        for chunk in rows.chunks(CHUNK) {
            write::insert(&mut transaction, chunk).await?;
        }
    }
    let lost = write::advance(&mut transaction, advances).await?;
    if lost.is_empty() {
        transaction.commit().await.map_err(driver("restore a view"))?;
    }
    Ok(lost)
}
