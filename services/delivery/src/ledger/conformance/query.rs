use fedsx_kernel::{
    cid::Cid,
    delivery::{
        audience::{Change, Opening},
        outcome::Outcome,
        row::DeliveryState,
    },
};

use super::{ALICE, World, delivery, origin};
use crate::{
    lane::{AddressKind, Lane, LaneId},
    ledger::{Filter, PageToken, RelationKey},
};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    pages_run_from_the_newest_to_the_oldest(world().await).await;
    filters_narrow_the_list(world().await).await;
    peers_are_listed_with_their_counts(world().await).await;
    peers_are_listed_by_page_and_blocked_strangers_too(world().await).await;
    gauges_count_what_is_owed(world().await).await;
    a_lane_knows_whom_it_serves(world().await).await;
}

async fn pages_run_from_the_newest_to_the_oldest(world: World) {
    for position in 1..=5 {
        world
            .insert(&[delivery("one", position), delivery("two", position)])
            .await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.ledger.list(&Filter::default(), after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(PageToken {
            position: last.position,
            lane: last.lane.id,
        });
        seen.extend(page.iter().map(|row| row.position));
    }
    assert_eq!(seen, [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]);
}

async fn filters_narrow_the_list(world: World) {
    let lane = world.owe("one", &[1, 2]).await;
    world.owe("two", &[1, 2]).await;
    let claim = world.claim(&[lane], 1).await.remove(0);
    world.record(&claim, 1, Outcome::Refused, true).await;
    let count = async |filter: Filter| world.ledger.list(&filter, None, 10).await.unwrap().len();
    let all = Filter::default();
    assert_eq!(
        count(Filter {
            states: vec![DeliveryState::Refused],
            ..all.clone()
        })
        .await,
        1
    );
    assert_eq!(
        count(Filter {
            states: vec![DeliveryState::Pending],
            ..all.clone()
        })
        .await,
        3
    );
    assert_eq!(
        count(Filter {
            origin: Some(origin("two")),
            ..all.clone()
        })
        .await,
        2
    );
    assert_eq!(
        count(Filter {
            cid: Some("cid-1".to_owned()),
            ..all.clone()
        })
        .await,
        2
    );
    assert_eq!(
        count(Filter {
            states: vec![DeliveryState::Refused, DeliveryState::Dead],
            ..all.clone()
        })
        .await,
        1
    );
    assert_eq!(
        count(Filter {
            states: vec![DeliveryState::Refused, DeliveryState::Pending],
            ..all.clone()
        })
        .await,
        4
    );
    assert_eq!(
        count(Filter {
            address: Some("https://two.example/inbox".to_owned()),
            ..all.clone()
        })
        .await,
        2
    );
    let both = Filter {
        cid: Some("cid-2".to_owned()),
        origin: Some(origin("one")),
        ..all
    };
    assert_eq!(count(both).await, 1);
}

async fn peers_are_listed_with_their_counts(world: World) {
    let lane = world.owe("one", &[1, 2, 3]).await;
    world.owe("two", &[1]).await;
    let mut turn = world.ledger.turn().await.unwrap();
    turn.end_pending(&origin("one"), 1, DeliveryState::Dead, "over")
        .await
        .unwrap();
    turn.end_pending(&origin("one"), 2, DeliveryState::Refused, "blocked")
        .await
        .unwrap();
    turn.commit().await.unwrap();
    assert_eq!(world.states(lane).await.len(), 3);
    let peers = world.ledger.list_peers(None, 10).await.unwrap();
    let counts: Vec<_> = peers
        .iter()
        .map(|row| (row.origin.clone(), row.pending, row.refused, row.dead))
        .collect();
    assert_eq!(counts, [(origin("one"), 1, 1, 1), (origin("two"), 1, 0, 0)]);
    let one = world.ledger.peer(&origin("one")).await.unwrap();
    assert_eq!(one.as_ref(), peers.first());
    assert_eq!(world.ledger.peer(&origin("three")).await.unwrap(), None);
}

async fn peers_are_listed_by_page_and_blocked_strangers_too(world: World) {
    for name in ["b", "d"] {
        world.owe(name, &[1]).await;
    }
    let mut turn = world.ledger.turn().await.unwrap();
    for name in ["a", "b", "c", "e"] {
        turn.block(&origin(name), 2).await.unwrap();
    }
    turn.unblock(&origin("e"), 3).await.unwrap();
    turn.commit().await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.ledger.list_peers(after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.origin.clone());
        seen.extend(page.into_iter().map(|row| (row.origin, row.blocked, row.pending)));
    }
    let expected = [("a", true, 0), ("b", true, 1), ("c", true, 0), ("d", false, 1)];
    assert_eq!(
        seen,
        expected.map(|(name, blocked, pending)| (origin(name), blocked, pending))
    );
    assert!(world.ledger.peer(&origin("c")).await.unwrap().unwrap().blocked);
    assert_eq!(world.ledger.peer(&origin("e")).await.unwrap(), None);
}

async fn gauges_count_what_is_owed(world: World) {
    let lane = world.owe("one", &[1, 2]).await;
    world.owe("two", &[1]).await;
    assert_eq!(world.ledger.pending().await.unwrap(), 3);
    assert_eq!(world.ledger.lanes_due().await.unwrap(), 2);
    world.claim(&[lane], 1).await;
    assert_eq!(world.ledger.lanes_due().await.unwrap(), 1);
}

async fn a_lane_knows_whom_it_serves(world: World) {
    let (inbox, bob) = (
        "https://one.example/inbox".to_owned(),
        "https://one.example/actors/bob".to_owned(),
    );
    let cid = Cid::of_canonical(b"1");
    let key = RelationKey {
        actor: ALICE.to_owned(),
        follower: bob.clone(),
        origin: origin("one"),
    };
    let open = Opening {
        follow_cid: cid.clone(),
        inbox: Some(inbox.clone()),
        from_position: 1,
    };
    let mut turn = world.ledger.turn().await.unwrap();
    turn.change_audience(&[(
        key,
        Change {
            close: None,
            open: Some(open),
        },
    )])
    .await
    .unwrap();
    turn.commit().await.unwrap();
    let lane = |kind, address: &str| Lane {
        id: LaneId(1),
        actor: ALICE.to_owned(),
        kind,
        address: address.to_owned(),
        origin: origin("one"),
        replay: false,
    };
    let shared = lane(AddressKind::Inbox, &inbox);
    assert_eq!(
        world.ledger.follower_of(&shared).await.unwrap(),
        Some(bob.clone())
    );
    assert_eq!(world.ledger.follows_of(&shared).await.unwrap(), [cid]);
    let named = lane(AddressKind::Actor, &bob);
    assert_eq!(world.ledger.follower_of(&named).await.unwrap(), Some(bob));
    assert!(world.ledger.follows_of(&named).await.unwrap().is_empty());
    let other = lane(AddressKind::Inbox, "https://one.example/other");
    assert_eq!(world.ledger.follower_of(&other).await.unwrap(), None);
}
