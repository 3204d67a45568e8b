//! Restorations, as others see them.

use futures::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::mpsc;

use super::*;
use crate::store::conformance::put;

/// Rows that come until somebody waits for more, of which the receiver is told.
fn endless() -> (
    BoxStream<'static, Result<Vec<Change>>>,
    mpsc::UnboundedReceiver<()>,
) {
    let (reached, waits) = mpsc::unbounded_channel();
    let stalls = async move {
        reached.send(()).unwrap();
        std::future::pending().await
    };
    let rows = stream::iter([Ok(vec![put("a", 1), put("b", 1)])]);
    (rows.chain(stalls.into_stream()).boxed(), waits)
}

#[tokio::test]
async fn what_is_restored_is_not_seen_before_its_end_and_leases_are_renewed_meanwhile() {
    let (database, store, _) = beside().await;
    let leases = leases(&store).await;
    let other = open(database.url()).await.unwrap();
    let advances: Vec<Advance> = leases.iter().map(|lease| step(lease, 1, &[])).collect();
    let (pages, mut waits) = endless();
    let looking = async {
        waits.recv().await.unwrap();
        assert_eq!(other.page(&page("")).await.unwrap().unwrap().total, 0);
        assert_eq!(other.hold(&group(), "a", TERM).await.unwrap(), leases);
        assert_eq!(other.hold(&group(), "b", TERM).await.unwrap(), []);
    };
    tokio::select! {
        ended = store.restore("v", pages, &advances) => panic!("{ended:?}"),
        () = looking => {}
    }
}

/// Its process is killed, or its connection is lost: the database undoes what it has done.
#[tokio::test]
async fn a_restoration_whose_connection_is_gone_leaves_nothing() {
    let (_database, store, mut beside) = beside().await;
    let leases = leases(&store).await;
    let advances: Vec<Advance> = leases.iter().map(|lease| step(lease, 1, &[])).collect();
    let (pages, mut waits) = endless();
    let (go_on, going_on) = tokio::sync::oneshot::channel::<()>();
    let pages = pages.take_until(going_on).boxed();
    let killing = async {
        waits.recv().await.unwrap();
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND state = 'idle in transaction'";
        beside.execute(kill).await.unwrap();
        go_on.send(()).unwrap();
    };
    let (restored, ()) = tokio::join!(store.restore("v", pages, &advances), killing);
    assert!(restored.is_err());
    assert_eq!(store.page(&page("")).await.unwrap().unwrap().total, 0);
    let whole = stream::iter([Ok(vec![put("a", 1), put("b", 1)])]).boxed();
    assert_eq!(store.restore("v", whole, &advances).await.unwrap(), []);
    assert_eq!(store.page(&page("")).await.unwrap().unwrap().total, 2);
}
