use fedsx_kernel::{
    cid::Cid,
    delivery::audience::{Change, Opening},
    follow::{Follow, Relation, RelationState},
};

use super::{ALICE, World, origin};
use crate::ledger::{Members, RelationKey, Whom};

pub(super) async fn run(world: &impl AsyncFn() -> World) {
    relations_are_kept_by_actor_and_follower(world().await).await;
    rows_hold_from_one_position_to_another(world().await).await;
    a_row_that_opens_after_another_closed_stays_open(world().await).await;
    each_closing_ends_the_row_that_is_open_then(world().await).await;
    followers_are_grouped_by_inbox_and_named_ones_are_not(world().await).await;
    an_origins_audience_is_apart(world().await).await;
    open_follows_are_those_not_closed(world().await).await;
    blocks_hold_from_one_position_to_another(world().await).await;
}

fn cid(number: u8) -> Cid {
    Cid::of_canonical(&[number])
}

fn key(peer: &str, follower: &str) -> RelationKey {
    let origin = origin(peer);
    RelationKey {
        actor: ALICE.to_owned(),
        follower: format!("{origin}/actors/{follower}"),
        origin,
    }
}

fn opens(number: u8, inbox: Option<&str>, from_position: u64) -> Change {
    let inbox = inbox.map(str::to_owned);
    Change {
        close: None,
        open: Some(Opening {
            follow_cid: cid(number),
            inbox,
            from_position,
        }),
    }
}

fn closes(number: u8, to: u64) -> Change {
    Change {
        close: Some((cid(number), to)),
        open: None,
    }
}

async fn change(world: &World, changes: &[(RelationKey, Change)]) {
    let mut turn = world.ledger.turn().await.unwrap();
    turn.change_audience(changes).await.unwrap();
    turn.commit().await.unwrap();
}

/// The followers of Alice at a position, by their ids' last part.
async fn members(world: &World, position: u64, whom: Whom<'_>, only: Option<&str>) -> Vec<String> {
    let only = only.map(origin);
    let mut turn = world.ledger.turn().await.unwrap();
    let query = Members {
        actor: ALICE,
        position,
        whom,
        origin: only.as_ref(),
    };
    let mut names: Vec<_> = turn
        .members(query)
        .await
        .unwrap()
        .into_iter()
        .map(|member| member.follower.rsplit('/').next().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

async fn relations_are_kept_by_actor_and_follower(world: World) {
    let relation = |state| Relation {
        state,
        follow: Follow {
            cid: cid(1),
            id: "https://peer.example/1".to_owned(),
            inbox: None,
        },
        newer: None,
    };
    let (bob, eve, far) = (key("peer", "bob"), key("peer", "eve"), key("far", "bob"));
    let mut turn = world.ledger.turn().await.unwrap();
    let asked = relation(RelationState::Requested);
    let rows = [bob.clone(), eve.clone(), far.clone()].map(|key| (key, Some(asked.clone())));
    turn.put_relations(&rows).await.unwrap();
    let accepted = relation(RelationState::Accepted);
    turn.put_relations(&[(bob.clone(), Some(accepted.clone())), (eve.clone(), None)])
        .await
        .unwrap();
    turn.commit().await.unwrap();
    let mut turn = world.ledger.turn().await.unwrap();
    let found = turn.relations(&[bob.clone(), eve]).await.unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(bob.clone(), accepted)]);
    let found = turn
        .relations_with(&[origin("peer"), origin("far")])
        .await
        .unwrap();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [far, bob]);
}

async fn rows_hold_from_one_position_to_another(world: World) {
    let bob = key("peer", "bob");
    change(
        &world,
        &[
            (bob.clone(), opens(1, None, 3)),
            (bob.clone(), closes(1, 5)),
            (bob, opens(2, None, 8)),
        ],
    )
    .await;
    for (position, expected) in [(2, 0), (3, 1), (4, 1), (5, 0), (7, 0), (8, 1), (9, 1)] {
        assert_eq!(
            members(&world, position, Whom::All(&[]), None).await.len(),
            expected,
            "at {position}"
        );
    }
}

async fn a_row_that_opens_after_another_closed_stays_open(world: World) {
    let bob = key("peer", "bob");
    let changes = [opens(1, None, 3), closes(1, 11), opens(1, None, 20)];
    change(&world, &changes.map(|change| (bob.clone(), change))).await;
    for (position, expected) in [(2, 0), (3, 1), (10, 1), (11, 0), (19, 0), (20, 1), (99, 1)] {
        assert_eq!(
            members(&world, position, Whom::All(&[]), None).await.len(),
            expected,
            "{position}"
        );
    }
}

async fn each_closing_ends_the_row_that_is_open_then(world: World) {
    let bob = key("peer", "bob");
    let changes = [
        opens(1, None, 3),
        closes(1, 11),
        opens(1, None, 20),
        closes(1, 30),
    ];
    change(&world, &changes.map(|change| (bob.clone(), change))).await;
    for (position, expected) in [
        (2, 0),
        (3, 1),
        (10, 1),
        (11, 0),
        (19, 0),
        (20, 1),
        (29, 1),
        (30, 0),
    ] {
        assert_eq!(
            members(&world, position, Whom::All(&[]), None).await.len(),
            expected,
            "{position}"
        );
    }
}

async fn followers_are_grouped_by_inbox_and_named_ones_are_not(world: World) {
    let shared = Some("https://peer.example/inbox");
    change(
        &world,
        &[
            (key("peer", "ann"), opens(1, shared, 1)),
            (key("peer", "bob"), opens(2, shared, 1)),
            (key("peer", "cat"), opens(3, None, 1)),
            (key("peer", "dan"), opens(4, None, 1)),
        ],
    )
    .await;
    assert_eq!(members(&world, 1, Whom::All(&[]), None).await.len(), 3);
    let ann = [key("peer", "ann").follower];
    let all = members(&world, 1, Whom::All(&ann), None).await;
    assert!(all.contains(&"ann".to_owned()), "{all:?}");
    assert_eq!(members(&world, 1, Whom::Named(&ann), None).await, ["ann"]);
    assert!(members(&world, 1, Whom::Named(&[]), None).await.is_empty());
}

async fn an_origins_audience_is_apart(world: World) {
    change(
        &world,
        &[
            (key("near", "ann"), opens(1, None, 1)),
            (key("far", "bob"), opens(2, None, 1)),
        ],
    )
    .await;
    assert_eq!(members(&world, 1, Whom::All(&[]), Some("far")).await, ["bob"]);
    let named = [key("near", "ann").follower, key("far", "bob").follower];
    assert_eq!(
        members(&world, 1, Whom::Named(&named), Some("near")).await,
        ["ann"]
    );
}

async fn open_follows_are_those_not_closed(world: World) {
    let (ann, bob) = (key("peer", "ann"), key("peer", "bob"));
    change(
        &world,
        &[
            (ann.clone(), opens(1, None, 1)),
            (bob, opens(2, None, 1)),
            (ann, closes(1, 2)),
        ],
    )
    .await;
    let mut turn = world.ledger.turn().await.unwrap();
    assert_eq!(turn.open_follows(&origin("peer")).await.unwrap(), [cid(2)]);
    assert!(turn.open_follows(&origin("far")).await.unwrap().is_empty());
}

async fn blocks_hold_from_one_position_to_another(world: World) {
    let (peer, far) = (origin("peer"), origin("far"));
    let mut turn = world.ledger.turn().await.unwrap();
    turn.block(&peer, 2).await.unwrap();
    turn.block(&peer, 3).await.unwrap();
    turn.unblock(&peer, 4).await.unwrap();
    turn.unblock(&peer, 5).await.unwrap();
    turn.block(&peer, 6).await.unwrap();
    let blocks = turn.blocks(&[peer.clone(), far]).await.unwrap();
    assert_eq!(
        blocks.into_iter().collect::<Vec<_>>(),
        [(peer, vec![(2, Some(4)), (6, None)])]
    );
}
