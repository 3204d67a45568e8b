//! Turns and the peers that they do not concern.

use fedsx_kernel::delivery::peer::Peer;
use jiff::Timestamp;

use super::*;
use crate::ledger::conformance::{delivery, origin};

/// A ledger in which one peer is parked and has answered since.
async fn with_a_peer_that_is_back() -> (Database, Postgres) {
    let (database, ledger) = fresh().await;
    insert(&ledger, &[delivery("back", 1)]).await;
    let back = Peer {
        alive_at: Some(Timestamp::UNIX_EPOCH),
        ..Peer::LIVE.parked(1, Timestamp::UNIX_EPOCH)
    };
    let mut turn = ledger.turn().await.unwrap();
    turn.put_peers(&[(origin("back"), back)].into()).await.unwrap();
    turn.commit().await.unwrap();
    (database, ledger)
}

/// However many peers are parked, and whatever is recorded of them meanwhile.
#[tokio::test]
async fn who_writes_deliveries_waits_for_no_other_peer() {
    let (_database, ledger) = with_a_peer_that_is_back().await;
    let mut holder = holder(&ledger).await;
    peers::lock(&mut holder, [&origin("back")]).await.unwrap();
    assert_eq!(insert(&ledger, &[delivery("peer", 2)]).await.len(), 1);
    holder.rollback().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_somebody_else_writes_is_unparked_by_the_next_turn() {
    let (_database, ledger) = with_a_peer_that_is_back().await;
    let mut holder = holder(&ledger).await;
    peers::lock(&mut holder, [&origin("back")]).await.unwrap();
    let mut turn = ledger.turn().await.unwrap();
    turn.insert(&[delivery("peer", 2)]).await.unwrap();
    let parked = turn.parked().await.unwrap();
    assert_eq!(parked, []);
    turn.commit().await.unwrap();
    holder.rollback().await.unwrap();
    let parked = ledger.turn().await.unwrap().parked().await.unwrap();
    let [(found, peer, pending)] = &parked[..] else {
        panic!("{parked:?}")
    };
    assert_eq!((found, peer.waits(*pending)), (&origin("back"), true));
}
