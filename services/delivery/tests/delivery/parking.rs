//! Peers that stay away: parked, probed, caught up, given up.

use fedsx_kernel::delivery::parking::GONE_AFTER;
use serde_json::json;

use crate::{
    domain::{Domain, remote},
    peer::Peer,
    process::{Process, eventually},
};

/// Lets time pass until the peer is parked.
pub(crate) async fn until_parked(domain: &Domain, process: &Process, peer: &Peer) {
    eventually("it is parked", async || {
        let is_parked = process.peer(peer).await.state == "parked";
        if !is_parked {
            domain.pass(5);
        }
        is_parked
    })
    .await;
}

/// Lets time pass until the peer is live again.
pub(crate) async fn until_live(domain: &Domain, process: &Process, peer: &Peer) {
    eventually("it is live", async || {
        let is_live = process.peer(peer).await.state == "live";
        if !is_live {
            domain.pass(5);
        }
        is_live
    })
    .await;
}

#[tokio::test]
async fn a_parked_peer_costs_no_rows_and_catches_up_in_order() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let (_, accept) = domain.followed_by(&peer, "bob").await;
    process.settled(accept.position).await;
    peer.is_away(true);
    let mut sent = vec![accept.activity_id];
    let mut last = 0;
    for _ in 0..3 {
        sent.push(domain.post().await.activity_id);
    }
    until_parked(&domain, &process, &peer).await;
    assert_eq!(process.pending().await, 3, "rows that are there stay");
    // More than one page of catch-up.
    for _ in 0..300 {
        let posted = domain.post().await;
        last = posted.position;
        sent.push(posted.activity_id);
    }
    process.fanned_out(last).await;
    assert_eq!(process.pending().await, 3);
    let row = process.peer(&peer).await;
    assert!(row.parked_since_ms > 0 && row.next_probe_ms > 0);
    assert_eq!(row.behind, 300);
    peer.is_away(false);
    until_live(&domain, &process, &peer).await;
    process.settled(last).await;
    assert_eq!(peer.ids(), sent);
}

#[tokio::test]
async fn a_parked_peer_is_probed_with_one_row_now_and_then() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    let posted = domain.post().await;
    process.settled(posted.position).await;
    peer.is_away(true);
    let first = domain.post().await.position;
    for _ in 0..4 {
        domain.post().await;
    }
    until_parked(&domain, &process, &peer).await;
    let (tried, others) = (peer.tried(), attempts_after(&process, first).await);
    for _ in 0..3 {
        let attempts = process.row(first).await.attempts;
        domain.pass(22);
        eventually("it is probed", async || {
            process.row(first).await.attempts > attempts
        })
        .await;
    }
    // A probe every 12 seconds at most, and one that was under way when it was parked.
    let probes = peer.tried() - tried;
    assert!((3..=3 * 22 / 12 + 1).contains(&probes), "{probes}");
    assert_eq!(attempts_after(&process, first).await, others);
}

/// The attempts at each row after a position.
async fn attempts_after(process: &Process, position: u64) -> Vec<u32> {
    let rows = process.rows().await.into_iter();
    rows.filter(|row| row.position > position)
        .map(|row| row.attempts)
        .collect()
}

#[tokio::test]
async fn follows_and_undos_while_parked_count_at_their_place() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let ask = async |name: &str| {
        let inbox = format!("{}/inbox", peer.actor(name));
        domain.asked_from(&peer, name, &inbox, "").await
    };
    let leaving = ask("leaving").await;
    domain.accept(&leaving).await;
    let settled = domain.post().await;
    process.settled(settled.position).await;
    peer.is_away(true);
    domain.post().await;
    until_parked(&domain, &process, &peer).await;
    let both = domain.post().await;
    let undo = remote(leaving.actor(), json!({"type": "Undo", "object": leaving.id()}));
    domain.receive(&undo, "", "").await;
    let nobody = domain.post().await;
    let coming = ask("coming").await;
    let accept = domain.accept(&coming).await;
    let only = domain.post().await;
    process.fanned_out(only.position).await;
    peer.is_away(false);
    until_live(&domain, &process, &peer).await;
    process.settled(only.position).await;
    let of = |name: &str| -> Vec<String> {
        let path = format!("/actors/{name}/inbox");
        let received = peer
            .received()
            .into_iter()
            .filter(|received| received.path == path);
        received.map(|received| received.id().to_owned()).collect()
    };
    assert_eq!(of("leaving").last(), Some(&both.activity_id));
    assert_eq!(of("coming"), [accept.activity_id, only.activity_id]);
    assert!(!peer.ids().contains(&nobody.activity_id));
}

#[tokio::test]
async fn retry_now_probes_at_once_and_the_idle_log_does_not_hold_the_peer() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    eventually("the Accept arrives", async || peer.received().len() == 1).await;
    peer.is_away(true);
    domain.post().await;
    until_parked(&domain, &process, &peer).await;
    let last = domain.post().await;
    process.fanned_out(last.position).await;
    peer.is_away(false);
    let request = fedsx_proto::v1::RetryNowRequest {
        origin: peer.origin.to_string(),
    };
    let answer = process
        .client(fedsx_runtime::token::Role::Operator)
        .retry_now(request)
        .await
        .unwrap();
    assert_eq!(answer.into_inner().deliveries, 1);
    process.settled(last.position).await;
    eventually("it catches up", async || peer.ids().contains(&last.activity_id)).await;
    assert_eq!(process.peer(&peer).await.state, "live");
}

#[tokio::test]
async fn after_thirty_days_the_follows_end_and_later_directed_ones_stay_owed() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let (follow, accept) = domain.followed_by(&peer, "bob").await;
    process.settled(accept.position).await;
    peer.is_away(true);
    let lost = domain.post().await;
    until_parked(&domain, &process, &peer).await;
    let unwritten = domain.post().await;
    process.fanned_out(unwritten.position).await;
    domain.manual.advance(GONE_AFTER);
    eventually("the log says so", async || !domain.decisions().await.is_empty()).await;
    let decision = domain.decisions().await.remove(0);
    assert_eq!(decision["follows"], json!([follow.cid().as_str()]));
    assert_eq!(decision["through"], unwritten.position);
    eventually("what was owed is dead", async || {
        process.row(lost.position).await.state == "dead"
    })
    .await;
    let named = domain.note(&[&peer.actor("bob")]).await;
    let posted = domain.post().await;
    peer.is_away(false);
    until_live(&domain, &process, &peer).await;
    process.settled(posted.position).await;
    assert_eq!(peer.ids(), [accept.activity_id, named.activity_id]);
}

#[tokio::test]
async fn a_peer_that_is_back_without_the_addressee_it_is_probed_with_is_not_kept_parked() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    let settled = domain.post().await;
    process.settled(settled.position).await;
    peer.is_away(true);
    domain.note(&[&peer.actor("dan")]).await;
    until_parked(&domain, &process, &peer).await;
    let missed = domain.post().await;
    process.fanned_out(missed.position).await;
    peer.breaks("dan");
    peer.is_away(false);
    until_live(&domain, &process, &peer).await;
    eventually("the others get theirs", async || {
        peer.ids().contains(&missed.activity_id)
    })
    .await;
}
