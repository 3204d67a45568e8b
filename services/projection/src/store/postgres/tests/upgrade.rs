//! A database of the version before, whose views had names instead of records.

use sqlx::Executor as _;

use super::*;
use crate::roster::settle::State;

/// As the first version left it, with a view that is somewhere.
const BEFORE: &str = "
    DROP TABLE projection.projection, projection.behaviour, projection.flow, projection.flow_wait, projection.runner;
    DROP INDEX projection.view_row_position;
    DELETE FROM projection._sqlx_migrations WHERE version > 1;
    INSERT INTO projection.shard (view, shard, owner, lease_until, epoch, position, count, digest)
    SELECT view, 0, '', 0, 0, 7, 1, '\\x00'::bytea || decode(repeat('00', 31), 'hex')
    FROM (VALUES ('followers'), ('reaction/follow')) AS old (view);
    INSERT INTO projection.view_row (view, key, position, value) VALUES ('followers', 'k', 7, '{}')";

#[tokio::test]
async fn what_was_kept_by_names_is_read_on_until_what_is_defined_has_caught_up() {
    let database = Database::create().await;
    open(database.url()).await.unwrap().close().await;
    let mut outside = PgConnection::connect(database.url()).await.unwrap();
    outside.execute(BEFORE).await.unwrap();
    let store = open(database.url()).await.unwrap();
    let kept = store.settle(&[]).await.unwrap();
    let told: Vec<_> = kept.iter().map(|kept| (kept.id.as_str(), kept.state)).collect();
    assert_eq!(told, [("followers", State::Live)], "a reaction is no view");
    let (row, reach) = store
        .row(&ShardId::new("followers", 0), "k")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((row.map(|row| row.position), reach.position), (Some(7), 7));
    // What the version before writes beside it.
    outside
        .execute("UPDATE projection.shard SET position = 8; UPDATE projection.view_row SET position = 8")
        .await
        .unwrap();
    let (row, _) = store
        .row(&ShardId::new("followers", 0), "k")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.map(|row| row.position), Some(8));
}
