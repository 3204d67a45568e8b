//! A view from what was kept of it.

use fedsx_runtime::database::driver;
use futures::{TryStreamExt as _, stream::BoxStream};
use sqlx::{Connection as _, PgConnection};

use super::write;
use crate::{
    shard::ShardId,
    store::{Advance, Change, Result},
};

/// All of it in one transaction, which ends in vain where it is dropped or its process dies. The shards are locked by the
/// last statement alone, so that meanwhile their leases are renewed, or taken over; then this was in vain too.
pub(super) async fn restore(
    connection: &mut PgConnection,
    view: &str,
    mut pages: BoxStream<'_, Result<Vec<Change>>>,
    advances: &[Advance],
) -> Result<Vec<ShardId>> {
    let mut transaction = connection.begin().await.map_err(driver("begin to restore"))?;
    while let Some(page) = pages.try_next().await? {
        write::put(&mut transaction, view, &page).await?;
    }
    let lost = write::commit(&mut transaction, advances).await?;
    if lost.is_empty() {
        transaction.commit().await.map_err(driver("restore a view"))?;
    }
    Ok(lost)
}
