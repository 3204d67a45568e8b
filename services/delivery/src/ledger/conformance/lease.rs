use jiff::SignedDuration;

use super::World;

const TERM: SignedDuration = SignedDuration::from_secs(10);

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    one_holds_it_until_it_expires(world().await).await;
    an_older_epoch_renews_nothing(world().await).await;
    a_renewal_tells_where_the_cursor_stands(world().await).await;
    an_owner_that_starts_again_need_not_wait(world().await).await;
    a_turn_that_is_dropped_leaves_no_trace(world().await).await;
    silence_is_decided_once(world().await).await;
}

async fn one_holds_it_until_it_expires(world: World) {
    let first = world.ledger.take_lease("one", TERM).await.unwrap().unwrap();
    assert_eq!(world.ledger.take_lease("two", TERM).await.unwrap(), None);
    world.pass(9);
    assert_eq!(
        world.ledger.renew_lease(first.epoch, TERM).await.unwrap(),
        Some(first.clone())
    );
    world.pass(9);
    assert_eq!(world.ledger.take_lease("two", TERM).await.unwrap(), None);
    world.pass(1);
    let second = world.ledger.take_lease("two", TERM).await.unwrap().unwrap();
    assert!(second.epoch > first.epoch);
}

async fn an_older_epoch_renews_nothing(world: World) {
    let first = world.ledger.take_lease("one", TERM).await.unwrap().unwrap();
    world.pass(10);
    world.ledger.take_lease("two", TERM).await.unwrap().unwrap();
    assert_eq!(world.ledger.renew_lease(first.epoch, TERM).await.unwrap(), None);
    world.ledger.yield_lease(first.epoch).await.unwrap();
    assert_eq!(world.ledger.take_lease("three", TERM).await.unwrap(), None);
}

/// A database that crashed may have lost the last turns.
async fn a_renewal_tells_where_the_cursor_stands(world: World) {
    let lease = world.ledger.take_lease("one", TERM).await.unwrap().unwrap();
    for position in [7, 5] {
        let mut turn = world.ledger.turn().await.unwrap();
        turn.advance(position).await.unwrap();
        turn.commit().await.unwrap();
        let renewed = world
            .ledger
            .renew_lease(lease.epoch, TERM)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((renewed.epoch, renewed.position), (lease.epoch, position));
    }
}

async fn an_owner_that_starts_again_need_not_wait(world: World) {
    let first = world.ledger.take_lease("one", TERM).await.unwrap().unwrap();
    let again = world.ledger.take_lease("one", TERM).await.unwrap().unwrap();
    assert!(again.epoch > first.epoch);
    world.ledger.yield_lease(again.epoch).await.unwrap();
    assert!(world.ledger.take_lease("two", TERM).await.unwrap().is_some());
}

async fn a_turn_that_is_dropped_leaves_no_trace(world: World) {
    let mut turn = world.ledger.turn().await.unwrap();
    turn.insert(&[super::delivery("peer", 1)]).await.unwrap();
    turn.advance(7).await.unwrap();
    assert_eq!(turn.cursor().position, 7);
    drop(turn);
    assert_eq!(world.ledger.cursor().await.unwrap().position, 0);
    assert!(world.all().await.is_empty());
    let mut turn = world.ledger.turn().await.unwrap();
    turn.advance(7).await.unwrap();
    turn.commit().await.unwrap();
    assert_eq!(world.ledger.cursor().await.unwrap().position, 7);
}

async fn silence_is_decided_once(world: World) {
    let cursor = world.ledger.cursor().await.unwrap();
    assert_eq!(cursor.silent_until, None);
    assert!(!cursor.ledger.is_empty());
    world.ledger.decide_silence(5).await.unwrap();
    world.ledger.decide_silence(9).await.unwrap();
    assert_eq!(world.ledger.cursor().await.unwrap().silent_until, Some(5));
}
