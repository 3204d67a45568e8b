use std::{collections::BTreeMap, sync::Arc};

use fedsx_kernel::{
    activity::{Activity, PUBLIC},
    audience::recipients,
    cid::Cid,
    follow::{self, Follow},
};
use fedsx_runtime::clock::{Clock as _, ManualClock};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::ledger::{Filter, Recorded, sqlite};

mod webhooks;

const DOMAIN: &str = "https://blog.example";
/// Rows of one turn.
const LIMIT: usize = 2_000;
const ALICE: &str = "https://blog.example/actors/alice";

/// A ledger, and a log of which only positions matter.
struct World {
    ledger: Arc<dyn Ledger>,
    clock: ManualClock,
    epoch: u64,
    head: u64,
}

fn domain() -> Origin {
    DOMAIN.parse().unwrap()
}

fn peer(number: usize) -> Origin {
    format!("https://peer-{number}.example").parse().unwrap()
}

fn bob(number: usize) -> String {
    peer(number).actor("bob")
}

async fn world() -> World {
    let clock = ManualClock::new("2026-11-21T00:00:00Z".parse().unwrap());
    let ledger: Arc<dyn Ledger> = Arc::new(sqlite::memory(Arc::new(clock.clone())).await.unwrap());
    ledger.decide_silence(0).await.unwrap();
    let lease = ledger
        .take_lease("test", SignedDuration::from_secs(10))
        .await
        .unwrap()
        .unwrap();
    World {
        ledger,
        clock,
        epoch: lease.epoch,
        head: 0,
    }
}

impl World {
    fn noted(&mut self, said: Value, event: Option<Event>) -> Noted {
        self.head += 1;
        let mut document = json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": format!("{DOMAIN}/said/{}", self.head), "actor": ALICE,
        });
        document
            .as_object_mut()
            .unwrap()
            .extend(said.as_object().unwrap().clone());
        let activity = Activity::from_document(document.as_object().unwrap().clone()).unwrap();
        Noted {
            position: self.head,
            cid: activity.cid().to_string(),
            recipients: Some(recipients(&activity, &domain())),
            activity,
            event,
            webhook: None,
            traceparent: String::new(),
        }
    }

    /// A post to Alice's followers.
    fn post(&mut self) -> Noted {
        self.noted(
            json!({"type": "Create", "to": [PUBLIC, format!("{ALICE}/followers")]}),
            None,
        )
    }

    fn follow(&mut self, number: usize) -> Noted {
        let follow = Follow {
            cid: Cid::of_canonical(bob(number).as_bytes()),
            id: format!("{}/follow", bob(number)),
            inbox: Some(peer(number).shared_inbox()),
        };
        let event = Event::Follow {
            followed: ALICE.to_owned(),
            follower: bob(number),
            follow,
        };
        Noted {
            recipients: None,
            ..self.noted(json!({"type": "Follow"}), Some(event))
        }
    }

    fn accept(&mut self, number: usize) -> Noted {
        let event = Event::Accept {
            followed: ALICE.to_owned(),
            follower: bob(number),
            id: None,
        };
        self.noted(json!({"type": "Accept", "to": [bob(number)]}), Some(event))
    }

    fn reject(&mut self, number: usize) -> Noted {
        let event = Event::Reject {
            followed: ALICE.to_owned(),
            follower: bob(number),
            id: None,
        };
        self.noted(json!({"type": "Reject", "to": [bob(number)]}), Some(event))
    }

    fn decided(&mut self, event: Event) -> Noted {
        Noted {
            recipients: None,
            ..self.noted(json!({"type": "Block"}), Some(event))
        }
    }

    async fn take(&self, noted: &[Noted]) -> Done {
        self.take_after(0, noted).await.unwrap()
    }

    /// Takes a turn, the one before having come so far.
    async fn take_after(&self, cursor: u64, noted: &[Noted]) -> Option<Done> {
        let around = Around {
            domain: &domain(),
            epoch: self.epoch,
            cursor,
            seen: self.head,
        };
        take(&*self.ledger, around, noted, LIMIT).await.unwrap()
    }

    /// Takes as many turns as it needs, answering how many.
    async fn turns(&self, noted: &[Noted]) -> usize {
        for turns in 1.. {
            if self.take(noted).await.position == self.head {
                return turns;
            }
        }
        unreachable!()
    }

    async fn rows(&self) -> Vec<Recorded> {
        let mut rows = self
            .ledger
            .list(&Filter::default(), None, 1_000_000)
            .await
            .unwrap();
        rows.reverse();
        rows
    }

    /// Positions owed to a peer, oldest first.
    async fn owed(&self, number: usize) -> Vec<u64> {
        let rows = self.rows().await;
        rows.iter()
            .filter(|row| row.lane.origin == peer(number))
            .map(|row| row.position)
            .collect()
    }

    async fn put_peer(&self, number: usize, standing: Peer) {
        let mut turn = self.ledger.turn().await.unwrap();
        turn.put_peers(&BTreeMap::from([(peer(number), standing)]))
            .await
            .unwrap();
        turn.commit().await.unwrap();
    }

    async fn peer(&self, number: usize) -> Peer {
        let mut turn = self.ledger.turn().await.unwrap();
        turn.peers(&[peer(number)])
            .await
            .unwrap()
            .remove(&peer(number))
            .unwrap_or(Peer::LIVE)
    }
}

#[tokio::test]
async fn a_row_is_owed_from_the_accept_to_the_reject_within_one_batch() {
    let mut world = world().await;
    let noted = [
        world.post(),
        world.follow(1),
        world.post(),
        world.accept(1),
        world.post(),
        world.reject(1),
        world.post(),
    ];
    assert_eq!(world.turns(&noted).await, 1);
    assert_eq!(world.owed(1).await, [4, 5, 6]);
    let rows = world.rows().await;
    assert!(rows.iter().all(|row| row.lane.address == peer(1).shared_inbox()));
}

#[tokio::test]
async fn a_turn_under_an_older_epoch_writes_nothing() {
    let mut world = world().await;
    let noted = [world.follow(1), world.accept(1)];
    world
        .ledger
        .take_lease("test", SignedDuration::from_secs(10))
        .await
        .unwrap()
        .unwrap();
    assert!(world.take_after(0, &noted).await.is_none());
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn a_turn_that_follows_on_lost_ones_writes_nothing() {
    let mut world = world().await;
    let before = [world.follow(1), world.accept(1)];
    world.take(&before).await;
    let (reached, rows) = (world.head, world.rows().await.len());
    // Two more posts, the first of them in a turn that the database has lost.
    let noted = [world.post(), world.post()];
    assert!(world.take_after(reached + 1, &noted[1..]).await.is_none());
    assert_eq!(world.rows().await.len(), rows);
    world.take_after(reached, &noted).await.unwrap();
    assert_eq!(world.rows().await.len(), rows + 2);
}

#[tokio::test]
async fn a_thousand_followers_are_a_turn_and_more_posts_are_more_turns_that_fold_nothing_twice() {
    let mut world = world().await;
    let mut noted = Vec::new();
    for number in 0..1_000 {
        noted.push(world.follow(number));
        noted.push(world.accept(number));
    }
    assert_eq!(world.turns(&noted).await, 1);
    let mut noted = Vec::new();
    for _ in 0..4 {
        noted.push(world.post());
    }
    // Folded again this answer would mean the newer Follow.
    let rejected = world.reject(1);
    let position = rejected.position;
    noted.push(rejected);
    let again = world.follow(1);
    let Some(Event::Follow { follow, .. }) = &again.event else {
        unreachable!()
    };
    let newer = Follow {
        cid: Cid::of_canonical(b"newer"),
        ..follow.clone()
    };
    let event = Event::Follow {
        followed: ALICE.to_owned(),
        follower: bob(1),
        follow: newer,
    };
    noted.push(Noted {
        event: Some(event),
        ..again
    });
    noted.push(world.accept(1));
    noted.push(world.post());
    assert!(world.turns(&noted).await > 1);
    assert_eq!(world.ledger.pending().await.unwrap(), 1_000 * 6 + 2);
    let owed = world.owed(1).await;
    assert!(
        owed.contains(&position) && owed.last() == Some(&world.head),
        "{owed:?}"
    );
}

#[tokio::test]
async fn while_the_ledger_is_silent_only_the_audience_is_folded() {
    let clock = ManualClock::new("2026-11-21T00:00:00Z".parse().unwrap());
    let ledger: Arc<dyn Ledger> = Arc::new(sqlite::memory(Arc::new(clock.clone())).await.unwrap());
    ledger.decide_silence(3).await.unwrap();
    let lease = ledger
        .take_lease("test", SignedDuration::from_secs(10))
        .await
        .unwrap()
        .unwrap();
    let mut world = World {
        ledger,
        clock,
        epoch: lease.epoch,
        head: 0,
    };
    let noted = [world.follow(1), world.accept(1), world.post(), world.post()];
    world.turns(&noted).await;
    assert_eq!(world.owed(1).await, [4]);
}

#[tokio::test]
async fn an_origin_that_is_not_live_gets_no_rows_and_one_that_waits_is_unparked_though_the_log_is_idle() {
    let mut world = world().await;
    let noted = [world.follow(1), world.accept(1), world.follow(2), world.accept(2)];
    world.turns(&noted).await;
    let parked = Peer::LIVE.parked(world.head, world.clock.now());
    world.put_peer(1, parked).await;
    let noted = [world.post()];
    world.turns(&noted).await;
    assert_eq!((world.owed(1).await, world.owed(2).await), (vec![2], vec![4, 5]));
    assert_eq!(world.peer(1).await, parked);
    world
        .put_peer(
            1,
            Peer {
                alive_at: Some(world.clock.now()),
                ..parked
            },
        )
        .await;
    let done = world.take(&[]).await;
    assert_eq!(done.unparked, [peer(1)]);
    assert_eq!(world.peer(1).await.standing.as_str(), "catching_up");
    assert_eq!(world.peer(1).await.standing.at(), Some(5));
}

#[tokio::test]
async fn a_block_ends_what_the_same_batch_owed_and_makes_the_origin_live() {
    let mut world = world().await;
    let noted = [world.follow(1), world.accept(1)];
    world.turns(&noted).await;
    world
        .put_peer(1, Peer::LIVE.parked(world.head, world.clock.now()))
        .await;
    let named = world.noted(json!({"type": "Create", "to": [bob(1)]}), None);
    let noted = [
        world.post(),
        world.decided(Event::Block { origin: peer(1) }),
        world.post(),
        Noted { position: 6, ..named },
    ];
    world.head = 6;
    world.turns(&noted).await;
    assert_eq!(world.peer(1).await, Peer::LIVE);
    let rows = world.rows().await;
    assert!(
        rows.iter()
            .all(|row| row.state == DeliveryState::Refused && row.position == 2),
        "{rows:?}"
    );
}

#[tokio::test]
async fn the_end_of_an_origins_follows_ends_what_is_owed_up_to_there_and_no_more() {
    let mut world = world().await;
    let noted = [world.follow(1), world.accept(1), world.post()];
    world.turns(&noted).await;
    world
        .put_peer(1, Peer::LIVE.parked(world.head, world.clock.now()))
        .await;
    let cids = vec![Cid::of_canonical(bob(1).as_bytes())];
    let named = world.noted(json!({"type": "Create", "to": [bob(1)]}), None);
    let noted = [
        named,
        world.decided(Event::Gone {
            origin: peer(1),
            follows: cids,
            through: 3,
        }),
        world.post(),
    ];
    world.turns(&noted).await;
    let rows = world.rows().await;
    assert!(
        rows.iter().all(|row| row.state == DeliveryState::Dead),
        "{rows:?}"
    );
    // Nothing is left to probe with: it waits for nothing and catches up from there.
    assert_eq!(world.peer(1).await.standing.at(), Some(4));
    assert!(follow::gone(&domain(), &peer(1), &[], 3).is_ok());
}
