use fedsx_kernel::flow::Webhook;

use super::*;
use crate::ledger::Ended;

impl World {
    fn posts(&mut self, url: &str) -> Noted {
        let webhook = Webhook {
            url: url.to_owned(),
            actor: ALICE.to_owned(),
            body: json!({}),
        };
        Noted {
            recipients: None,
            webhook: Some(webhook),
            ..self.noted(json!({"type": "Transition"}), None)
        }
    }

    async fn untold(&self) -> Vec<Ended> {
        self.ledger.untold(100).await.unwrap()
    }
}

fn hook(number: usize) -> String {
    format!("{}/hooks/in?of=alice", peer(number))
}

#[tokio::test]
async fn a_webhook_is_owed_to_its_url_alone_whoever_follows() {
    let mut world = world().await;
    let noted = [world.follow(1), world.accept(1), world.posts(&hook(2))];
    world.turns(&noted).await;
    assert_eq!((world.owed(1).await, world.owed(2).await), (vec![2], vec![3]));
    let row = world.rows().await.remove(1);
    assert_eq!((row.lane.actor.as_str(), row.lane.address), (ALICE, hook(2)));
    assert_eq!(
        (row.cid, row.state),
        (noted[2].cid.clone(), DeliveryState::Pending)
    );
}

#[tokio::test]
async fn a_webhook_is_written_for_an_origin_that_is_away_too_and_keeps_it_parked() {
    let mut world = world().await;
    world
        .put_peer(1, Peer::LIVE.parked(world.head, world.clock.now()))
        .await;
    let noted = [world.posts(&hook(1)), world.posts(&hook(1))];
    let done = world.take(&noted).await;
    assert_eq!(world.owed(1).await, [1, 2]);
    assert_eq!((done.due.len(), done.unparked), (0, vec![]));
    assert_eq!(world.peer(1).await.standing.as_str(), "parked");
    // Away for too long, it ends like whatever else is owed.
    let event = Event::Gone {
        origin: peer(1),
        follows: Vec::new(),
        through: 1,
    };
    let noted = [world.decided(event)];
    world.turns(&noted).await;
    let untold = world.untold().await;
    assert_eq!(
        (untold[0].key.position, untold[0].state),
        (1, DeliveryState::Dead)
    );
    assert_eq!(untold.len(), 1);
}

#[tokio::test]
async fn a_webhook_to_a_blocked_origin_has_ended_at_once() {
    let mut world = world().await;
    let noted = [
        world.posts(&hook(1)),
        world.decided(Event::Block { origin: peer(1) }),
        world.posts(&hook(1)),
        world.posts(&hook(2)),
        world.decided(Event::Unblock { origin: peer(1) }),
        world.posts(&hook(1)),
    ];
    world.turns(&noted).await;
    let untold = world.untold().await;
    let ended: Vec<_> = untold
        .iter()
        .map(|ended| (ended.key.position, ended.state, ended.cause.as_str()))
        .collect();
    assert_eq!(
        ended,
        [
            (1, DeliveryState::Refused, "blocked"),
            (3, DeliveryState::Refused, "blocked")
        ]
    );
    assert_eq!(world.ledger.pending().await.unwrap(), 2);
}

#[tokio::test]
async fn a_webhook_that_can_never_be_posted_is_nobodys_but_has_a_row() {
    let mut world = world().await;
    let mut strangers = world.posts(&hook(1));
    if let Some(webhook) = &mut strangers.webhook {
        webhook.actor = bob(1);
    }
    let long = format!("{}{}", hook(1), "x".repeat(10_000));
    let noted = [
        strangers,
        world.posts("mailto:bob@peer.example"),
        world.posts(&long),
    ];
    world.turns(&noted).await;
    let rows = world.rows().await;
    assert_eq!(rows.len(), 3);
    assert!(
        rows.iter().all(|row| row.lane.address == domain().base()),
        "{rows:?}"
    );
}
