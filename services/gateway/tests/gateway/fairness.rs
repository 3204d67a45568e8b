//! Whoever makes us fetch much, or slowly, holds up nobody else.

use std::pin::pin;

use futures::{FutureExt as _, future};

use crate::{
    domain::Domain,
    letter::Letter,
    peer::{Page, Peer},
    wait::eventually,
};

const ALICE: &str = "https://events.example/actors/alice";
const HEALTHY: [u8; 4] = [192, 0, 2, 200];

/// A peer none of whose actors is ever shown.
async fn silent(actors: usize) -> Peer {
    let peer = Peer::start().await;
    for actor in 0..actors {
        peer.answers(&format!("/actors/a{actor}"), Page::Never);
    }
    peer
}

fn letter(domain: &Domain, peer: &Peer, actor: &str) -> Letter {
    Letter::new(domain, peer, &peer.note(actor, "hello", &[ALICE]))
}

/// Another peer's first activity is let in while those are under way.
async fn lets_another_in(domain: &Domain, slow: &[Letter], peers: &[Peer], held: usize) {
    let healthy = Peer::start().await;
    let mut slow = pin!(future::join_all(slow.iter().map(|letter| letter.send(domain))).fuse());
    let begun = eventually(async || {
        let asked: usize = peers.iter().map(|peer| peer.paths().len()).sum();
        (asked >= held).then_some(()).ok_or(format!("{asked} are asked"))
    });
    futures::select! {
        _ = slow => panic!("they were answered"),
        () = begun.fuse() => {}
    }
    let other = letter(domain, &healthy, "bob").from(HEALTHY);
    futures::select! {
        _ = slow => panic!("the slow ones were answered before the other"),
        answer = other.send(domain).fuse() => answer.assert_status(202),
    };
    let asked: usize = peers.iter().map(|peer| peer.paths().len()).sum();
    assert_eq!(asked, held, "no more are asked at once");
}

#[tokio::test]
async fn a_client_that_names_many_slow_actors_delays_no_other() {
    let domain = Domain::new().await;
    let peers = future::join_all((0..12).map(|_| silent(8))).await;
    let letters: Vec<_> = peers
        .iter()
        .flat_map(|peer| (0..8).map(|actor| letter(&domain, peer, &format!("a{actor}"))))
        .map(|letter| letter.from([192, 0, 2, 1]))
        .collect();
    lets_another_in(&domain, &letters, &peers, 8).await;
}

#[tokio::test]
async fn an_origin_that_answers_slowly_delays_no_other() {
    let domain = Domain::new().await;
    let peers = [silent(80).await];
    let letters: Vec<_> = (0..80)
        .map(|actor| letter(&domain, &peers[0], &format!("a{actor}")).from([198, 51, 100, actor]))
        .collect();
    lets_another_in(&domain, &letters, &peers, 8).await;
}

#[tokio::test]
async fn who_waits_for_its_own_share_lets_nobody_wait_for_the_same_actor() {
    let domain = Domain::new().await;
    let (peers, victim) = ([silent(8).await], Peer::start().await);
    let attacker = [192, 0, 2, 1];
    let letters: Vec<_> = (0..8)
        .map(|actor| letter(&domain, &peers[0], &format!("a{actor}")).from(attacker))
        .collect();
    let named = letter(&domain, &victim, "bob").unsigned().from(attacker);
    let own = letter(&domain, &victim, "bob").from(HEALTHY);
    let mut slow =
        pin!(future::join_all(letters.iter().chain([&named]).map(|letter| letter.send(&domain))).fuse());
    let begun = eventually(async || {
        let asked = peers[0].paths().len();
        (asked >= 8).then_some(()).ok_or(format!("{asked} are asked"))
    });
    futures::select! {
        _ = slow => panic!("they were answered"),
        () = begun.fuse() => {}
    }
    futures::select! {
        _ = slow => panic!("the slow ones were answered before the other"),
        answer = own.send(&domain).fuse() => answer.assert_status(202),
    };
}
