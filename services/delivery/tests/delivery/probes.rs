//! Peers that an operator asks after.

use fedsx_kernel::follow::block;
use fedsx_proto::v1::{
    GetPeerRequest, ListPeersRequest, ProbePeerRequest, ProbePeerResponse, RetryNowRequest,
};
use fedsx_runtime::token::Role;

use crate::{
    domain::Domain,
    parking::{until_live, until_parked},
    peer::Peer,
    process::{Process, eventually},
};

impl Process {
    async fn probe(&self, origin: &str, wait: bool) -> Result<ProbePeerResponse, tonic::Status> {
        let request = ProbePeerRequest {
            origin: origin.to_owned(),
            wait,
        };
        let answer = self.client(Role::Operator).probe_peer(request).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn probed(&self, peer: &Peer) -> ProbePeerResponse {
        self.probe(peer.origin.as_str(), true).await.unwrap()
    }
}

#[tokio::test]
async fn a_parked_peer_is_probed_now_and_what_came_of_it_is_told() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    let before = domain.post().await;
    process.settled(before.position).await;
    peer.is_away(true);
    let owed = domain.post().await;
    until_parked(&domain, &process, &peer).await;
    let last = domain.post().await;
    process.fanned_out(last.position).await;
    let told = process.probed(&peer).await;
    assert_eq!((told.outcome.as_str(), told.status), ("origin_failed", 503));
    assert_eq!(
        (told.cid, told.inbox),
        (owed.cid.clone(), peer.origin.shared_inbox())
    );
    assert_eq!(told.peer.unwrap().state, "parked");
    peer.is_away(false);
    let told = process.probed(&peer).await;
    assert_eq!(
        (told.outcome.as_str(), told.status, told.cid),
        ("delivered", 202, owed.cid)
    );
    assert_ne!(told.peer.unwrap().state, "parked");
    until_live(&domain, &process, &peer).await;
    process.settled(last.position).await;
    assert_eq!(peer.ids().last(), Some(&last.activity_id));
}

#[tokio::test]
async fn a_held_peer_is_probed_whatever_it_is_held_for() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    peer.says(429);
    let owed = domain.note(&[&peer.actor("bob")]).await;
    eventually("it is held", async || {
        process.rows().await.iter().any(|row| row.status == 429)
    })
    .await;
    assert_eq!(process.probed(&peer).await.outcome, "throttled");
    peer.says(500);
    assert_eq!(process.probed(&peer).await.outcome, "retry");
    peer.says(202);
    let told = process.probe(peer.origin.as_str(), false).await.unwrap();
    assert_eq!((told.outcome.as_str(), told.cid.as_str()), ("", ""));
    process.settled(owed.position).await;
    assert_eq!(process.row(owed.position).await.attempts, 4);
}

#[tokio::test]
async fn a_peer_that_is_owed_nothing_is_asked_for_its_base() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let posted = domain.note(&[&peer.actor("bob")]).await;
    process.settled(posted.position).await;
    let tried = peer.tried();
    let told = process.probed(&peer).await;
    assert_eq!(
        (told.outcome.as_str(), told.status, told.cid.as_str()),
        ("answered", 200, "")
    );
    peer.actors_say(503);
    let told = process.probed(&peer).await;
    assert_eq!((told.outcome.as_str(), told.status), ("origin_failed", 503));
    assert_eq!(peer.tried(), tried);
}

#[tokio::test]
async fn while_an_attempt_is_under_way_no_other_is_made() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    peer.hangs();
    let posted = domain.note(&[&peer.actor("bob")]).await;
    eventually("it is under way", async || peer.tried() == 1).await;
    assert_eq!(process.probed(&peer).await.outcome, "busy");
    peer.goes_on();
    process.settled(posted.position).await;
    assert_eq!(peer.tried(), 1);
}

#[tokio::test]
async fn a_peer_that_nobody_knows_is_not_found() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    let origin = "https://nobody.example".to_owned();
    let mut client = process.client(Role::Operator);
    let get = GetPeerRequest {
        origin: origin.clone(),
    };
    let retry = RetryNowRequest {
        origin: origin.clone(),
    };
    let list = fedsx_proto::v1::ListDeliveriesRequest {
        origin: origin.clone(),
        ..Default::default()
    };
    for status in [
        process.probe(&origin, true).await.unwrap_err(),
        client.get_peer(get).await.unwrap_err(),
        client.retry_now(retry).await.unwrap_err(),
        client.list_deliveries(list).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), tonic::Code::NotFound);
        assert!(status.message().contains(&origin), "{}", status.message());
    }
    // One that is blocked is known, and is not probed.
    let blocked = block(&domain.origin, &peer.origin, domain.clock.now()).unwrap();
    let position = domain.decide(&blocked).await;
    process.fanned_out(position).await;
    assert!(process.peer(&peer).await.blocked);
    let status = process.probe(peer.origin.as_str(), true).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    assert_eq!(peer.tried(), 0);
}

#[tokio::test]
async fn peers_are_listed_page_by_page() {
    let domain = Domain::start().await;
    let process = domain.deliver().await;
    let (mut peers, mut last) = (Vec::new(), 0);
    for _ in 0..5 {
        let peer = domain.peer().await;
        last = domain.note(&[&peer.actor("bob")]).await.position;
        peers.push(peer.origin.to_string());
    }
    process.settled(last).await;
    peers.sort();
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListPeersRequest { limit: 2, page_token };
        let page = process
            .client(Role::Site)
            .list_peers(request)
            .await
            .unwrap()
            .into_inner();
        seen.extend(page.peers.into_iter().map(|peer| peer.origin));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, peers);
}
