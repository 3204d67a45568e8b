//! Processes that die, ledgers that are lost.

use fedsx_delivery::ledger::{Sweeps as _, Turns as _, sqlite};
use jiff::SignedDuration;

use crate::{
    domain::Domain,
    process::{How, eventually},
};

#[tokio::test]
async fn a_process_killed_in_the_middle_of_a_post_loses_nothing() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let mut process = domain.deliver().await;
    let (_, accept) = domain.followed_by(&peer, "bob").await;
    process.settled(accept.position).await;
    peer.hangs();
    let tried = peer.tried();
    let mut sent = vec![accept.activity_id];
    let mut last = 0;
    for _ in 0..10 {
        let posted = domain.post().await;
        last = posted.position;
        sent.push(posted.activity_id);
    }
    eventually("one is under way", async || peer.tried() > tried).await;
    process.kill();
    let late = domain.post().await;
    sent.push(late.activity_id);
    peer.goes_on();
    let process = domain.deliver().await;
    process.settled(last + 1).await;
    let mut received = peer.ids();
    // What was under way at the kill may have arrived, and comes again.
    received.dedup();
    assert_eq!(received, sent);
}

#[tokio::test]
async fn a_stop_finishes_and_hands_back_what_is_held() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let (_, accept) = domain.followed_by(&peer, "bob").await;
    process.settled(accept.position).await;
    let mut sent = vec![accept.activity_id];
    let mut last = 0;
    for _ in 0..50 {
        let posted = domain.post().await;
        last = posted.position;
        sent.push(posted.activity_id);
    }
    process.stop().await;
    let process = domain
        .deliver_as(How {
            owner: "another",
            ..How::default()
        })
        .await;
    process.settled(last).await;
    assert_eq!(peer.ids(), sent, "nothing was sent twice");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_peers_that_hang() {
    let domain = Domain::start().await;
    let (hung, well) = (domain.peer().await, domain.peer().await);
    let process = domain.deliver().await;
    hung.hangs();
    let actors: Vec<_> = (0..40).map(|number| hung.actor(&format!("a{number}"))).collect();
    let to: Vec<_> = actors.iter().map(String::as_str).collect();
    let first = domain.note(&to).await;
    let last = domain.note(&to).await;
    process.fanned_out(last.position).await;
    eventually("some are under way", async || hung.tried() >= 4).await;
    let under_way = hung.tried();
    process.stop().await;
    assert_eq!(hung.tried(), under_way, "no next delivery");
    hung.goes_on();
    let process = domain
        .deliver_as(How {
            owner: "another",
            ..How::default()
        })
        .await;
    let quick = domain.note(&[&well.actor("bob")]).await;
    eventually("its claims are free", async || {
        well.ids() == [quick.activity_id.clone()]
    })
    .await;
    domain.settles(&process, quick.position).await;
    for row in process
        .rows()
        .await
        .iter()
        .filter(|row| row.position <= last.position)
    {
        assert_eq!(row.state, "delivered", "{row:?}");
    }
    assert!(first.position < last.position);
}

#[tokio::test]
async fn a_lost_ledger_is_rebuilt_and_resends_nothing() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let mut process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    let before = domain.post().await;
    process.settled(before.position).await;
    let sent = peer.ids();
    process.kill();
    let process = domain
        .deliver_as(How {
            ledger: "new.db",
            ..How::default()
        })
        .await;
    process.fanned_out(before.position).await;
    let after = domain.post().await;
    process.settled(after.position).await;
    assert_eq!(peer.ids()[..sent.len()], sent);
    assert_eq!(peer.ids()[sent.len()..], [after.activity_id]);
}

#[tokio::test]
async fn turns_that_the_database_loses_are_taken_again_though_the_log_is_idle() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let posted = domain.note(&[&peer.actor("bob")]).await;
    process.settled(posted.position).await;
    let clock = domain.clock.clone();
    let ledger = sqlite::open(domain.path("delivery.db"), clock).await.unwrap();
    domain.pass(1);
    assert_eq!(ledger.prune(SignedDuration::ZERO, 10).await.unwrap(), 1);
    let mut turn = ledger.turn().await.unwrap();
    turn.advance(posted.position - 1).await.unwrap();
    turn.commit().await.unwrap();
    process.settled(posted.position).await;
    assert_eq!(process.row(posted.position).await.state, "delivered");
}

#[tokio::test]
async fn what_was_published_before_the_first_start_is_sent() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let posted = domain.note(&[&peer.actor("bob")]).await;
    let process = domain.deliver().await;
    process.settled(posted.position).await;
    assert_eq!(peer.ids(), [posted.activity_id]);
}

#[tokio::test]
async fn another_process_takes_over_from_one_that_was_killed() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let broker = std::sync::Arc::new(fedsx_delivery::broker::embedded::Embedded::default());
    let start = async |owner| {
        let how = How {
            broker: broker.clone(),
            owner,
            ..How::default()
        };
        domain.deliver_as(how).await
    };
    let mut one = start("one").await;
    let (_, accept) = domain.followed_by(&peer, "bob").await;
    one.settled(accept.position).await;
    let two = start("two").await;
    peer.hangs();
    let tried = peer.tried();
    let first = domain.post().await;
    eventually("it is under way", async || peer.tried() > tried).await;
    one.kill();
    peer.goes_on();
    let second = domain.post().await;
    // The lease runs out, and the claim.
    domain.pass(61);
    two.settled(second.position).await;
    let mut received = peer.ids();
    received.dedup();
    assert_eq!(
        received,
        [accept.activity_id, first.activity_id, second.activity_id]
    );
}

#[tokio::test]
async fn without_its_log_it_is_not_ready_and_says_so() {
    let mut domain = Domain::start().await;
    let peer = domain.peer().await;
    let posted = domain.note(&[&peer.actor("bob")]).await;
    let (nobody, _) = fedsx_runtime::transport::memory();
    let log = std::mem::replace(&mut domain.log, nobody);
    let mut process = domain.deliver().await;
    eventually("it says so", async || {
        let lacking = process.lacking();
        lacking
            .iter()
            .any(|(part, why)| *part == "fan-out" && why.starts_with("the log"))
    })
    .await;
    process.kill();
    domain.log = log;
    let process = domain.deliver().await;
    process.settled(posted.position).await;
    assert!(process.lacking().is_empty());
    assert_eq!(peer.ids(), [posted.activity_id]);
}
