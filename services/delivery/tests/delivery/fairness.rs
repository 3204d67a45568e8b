//! Many peers at once.

use crate::{
    domain::Domain,
    peer::Peer,
    process::{How, eventually},
};

#[tokio::test]
async fn a_peer_that_hangs_does_not_hold_the_others() {
    let domain = Domain::start().await;
    let (slow, well) = (domain.peer().await, domain.peer().await);
    let process = domain
        .deliver_as(How {
            lanes_per_origin: 4,
            ..How::default()
        })
        .await;
    let slow_actors: Vec<_> = (0..300).map(|number| slow.actor(&format!("a{number}"))).collect();
    slow.hangs();
    let held = domain
        .note(&slow_actors.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    process.fanned_out(held.position).await;
    eventually("the slow peer is busy", async || slow.tried() == 4).await;
    let quick = domain.note(&[&well.actor("bob")]).await;
    eventually("the other is served", async || {
        well.ids() == [quick.activity_id.clone()]
    })
    .await;
    assert_eq!(slow.tried(), 4);
    slow.goes_on();
    process.settled(quick.position).await;
    assert_eq!(slow.received().len(), 300);
}

#[tokio::test]
async fn half_of_the_peers_in_a_black_hole_do_not_hold_the_other_half() {
    let domain = Domain::start().await;
    let mut peers = Vec::new();
    for _ in 0..20 {
        peers.push(domain.peer().await);
    }
    let process = domain
        .deliver_as(How {
            lanes: 64,
            ..How::default()
        })
        .await;
    let (holes, well) = peers.split_at(10);
    let actors: Vec<_> = peers
        .iter()
        .flat_map(|peer| (0..20).map(|number| peer.actor(&format!("a{number}"))))
        .collect();
    let to: Vec<_> = actors.iter().map(String::as_str).collect();
    // All are known to be quick, and then half of them fall silent.
    let before = domain.note(&to).await;
    process.settled(before.position).await;
    for hole in holes {
        hole.hangs();
    }
    let taken = async |count: usize| {
        eventually("whoever answers has everything", async || {
            well.iter().all(|peer| peer.received().len() == count)
        })
        .await;
        assert!(holes.iter().all(|hole| hole.received().len() == 20));
    };
    domain.note(&to).await;
    taken(40).await;
    eventually("the silent ones have been tried", async || {
        holes.iter().all(|hole| hole.tried() > 20)
    })
    .await;
    let late = domain.note(&to).await;
    taken(60).await;
    let hanging: usize = holes.iter().map(Peer::hanging).sum();
    assert!(hanging <= 48, "three quarters of the lanes at most: {hanging}");
    for hole in holes {
        hole.goes_on();
    }
    domain.settles(&process, late.position).await;
    assert!(peers.iter().all(|peer| peer.received().len() == 60));
}

#[tokio::test]
async fn a_thousand_inboxes_get_their_post_once() {
    let domain = Domain::start().await;
    let peers = [
        domain.peer().await,
        domain.peer().await,
        domain.peer().await,
        domain.peer().await,
    ];
    let process = domain.deliver().await;
    let actors: Vec<_> = (0..1_000)
        .map(|number| peers[number % 4].actor(&format!("a{number}")))
        .collect();
    let posted = domain
        .note(&actors.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    process.settled(posted.position).await;
    let mut paths: Vec<_> = peers
        .iter()
        .flat_map(|peer| {
            peer.received()
                .into_iter()
                .map(|received| format!("{}{}", peer.origin, received.path))
        })
        .collect();
    let mut expected: Vec<_> = actors.iter().map(|actor| format!("{actor}/inbox")).collect();
    paths.sort();
    expected.sort();
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn two_processes_share_the_work_and_send_nothing_twice() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let broker = std::sync::Arc::new(fedsx_delivery::broker::embedded::Embedded::default());
    let one = domain
        .deliver_as(How {
            broker: broker.clone(),
            owner: "one",
            ..How::default()
        })
        .await;
    let two = domain
        .deliver_as(How {
            broker,
            owner: "two",
            ..How::default()
        })
        .await;
    domain.followed_by(&peer, "bob").await;
    let actors: Vec<_> = (0..20).map(|number| peer.actor(&format!("a{number}"))).collect();
    let to: Vec<_> = actors.iter().map(String::as_str).collect();
    let mut last = 0;
    for _ in 0..20 {
        last = domain.note(&to).await.position;
        domain.post().await;
    }
    one.settled(last + 1).await;
    two.settled(last + 1).await;
    let mut ids: Vec<_> = peer
        .received()
        .into_iter()
        .map(|received| (received.path.clone(), received.id().to_owned()))
        .collect();
    assert_eq!(ids.len(), 20 * 20 + 20 + 1);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20 * 20 + 20 + 1);
}
