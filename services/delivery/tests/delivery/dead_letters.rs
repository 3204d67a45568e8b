//! What was refused or given up: inspected, sent again, dropped.

use axum::{http::StatusCode, response::IntoResponse as _};
use fedsx_kernel::follow::{block, unblock};
use fedsx_proto::v1::{
    Appended, DeadLettersRequest, DeliveryRow, GetDeliveryRequest, ReplayDeadLettersResponse,
};
use fedsx_runtime::token::Role;
use serde_json::json;

use crate::{
    domain::Domain,
    peer::Peer,
    process::{Process, eventually},
};

impl Domain {
    /// Publishes a note of Alice that says this.
    async fn says(&self, words: &str, to: &[&str]) -> Appended {
        let object = json!({"type": "Note", "content": words});
        self.publish(json!({"type": "Create", "object": object, "to": to}))
            .await
    }
}

/// Answers a note by what it says: a status where it is one, else 202.
fn answers_what_it_reads(peer: &Peer) {
    peer.answers(|_, activity| {
        let words = activity["object"]["content"].as_str().unwrap_or_default();
        let status = words
            .parse()
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok());
        status.unwrap_or(StatusCode::ACCEPTED).into_response()
    });
}

impl Process {
    async fn replay(&self, which: DeadLettersRequest) -> Result<ReplayDeadLettersResponse, tonic::Status> {
        let answer = self.client(Role::Operator).replay_dead_letters(which).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn replayed(&self, which: DeadLettersRequest) -> u64 {
        self.replay(which).await.unwrap().replayed
    }

    async fn dropped(&self, which: DeadLettersRequest) -> u64 {
        let answer = self.client(Role::Operator).drop_dead_letters(which).await;
        answer.unwrap().into_inner().dropped
    }

    async fn in_state(&self, state: &str) -> Vec<DeliveryRow> {
        let rows = self.rows().await.into_iter();
        rows.filter(|row| row.state == state).collect()
    }
}

fn all() -> DeadLettersRequest {
    DeadLettersRequest {
        all: true,
        ..DeadLettersRequest::default()
    }
}

#[tokio::test]
async fn what_was_refused_is_sent_again_after_what_came_later() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    answers_what_it_reads(&peer);
    let bob = peer.actor("bob");
    let refused = domain.says("422", &[&bob]).await;
    let later = domain.says("later", &[&bob]).await;
    process.settled(later.position).await;
    peer.says(202);
    assert_eq!(process.replayed(all()).await, 1);
    process.settled(later.position).await;
    assert_eq!(peer.ids(), [later.activity_id, refused.activity_id]);
    let row = process.row(refused.position).await;
    assert_eq!(
        (row.state.as_str(), row.attempts, row.replay),
        ("delivered", 2, true)
    );
    assert_eq!(process.replayed(all()).await, 0);
}

#[tokio::test]
async fn what_is_sent_again_in_vain_holds_up_nothing() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    answers_what_it_reads(&peer);
    let bob = peer.actor("bob");
    let mut letters = Vec::new();
    for _ in 0..3 {
        letters.push(domain.says("403", &[&bob]).await);
    }
    process.settled(letters[2].position).await;
    // It breaks over the first now, and would over nothing else.
    let broken = letters[0].activity_id.clone();
    peer.answers(move |_, activity| {
        let status = if activity["id"] == broken.as_str() {
            500
        } else {
            202
        };
        StatusCode::from_u16(status).unwrap().into_response()
    });
    assert_eq!(process.replayed(all()).await, 3);
    let mut sent = vec![letters[1].activity_id.clone(), letters[2].activity_id.clone()];
    for _ in 0..5 {
        sent.push(domain.says("next", &[&bob]).await.activity_id);
    }
    eventually("all others arrive", async || peer.ids().len() == sent.len()).await;
    let mut received = peer.ids();
    assert_eq!(
        received
            .iter()
            .filter(|id| sent[2..].contains(*id))
            .collect::<Vec<_>>(),
        sent[2..].iter().collect::<Vec<_>>(),
        "the lane keeps its order"
    );
    received.sort();
    sent.sort();
    assert_eq!(received, sent);
    let row = process.row(letters[0].position).await;
    assert_eq!((row.state.as_str(), row.status), ("pending", 500));
    domain.pass(6);
    eventually("it climbs its own ladder", async || {
        process.row(letters[0].position).await.attempts == 3
    })
    .await;
}

#[tokio::test]
async fn dead_letters_are_chosen_by_peer_activity_inbox_and_state() {
    let domain = Domain::start().await;
    let (one, two) = (domain.peer().await, domain.peer().await);
    let process = domain.deliver().await;
    answers_what_it_reads(&one);
    answers_what_it_reads(&two);
    let to = [one.actor("ann"), one.actor("bob"), two.actor("cat")];
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    let first = domain.says("422", &to).await;
    let second = domain.says("403", &to).await;
    process.settled(second.position).await;
    assert_eq!(process.in_state("refused").await.len(), 6);
    let which = |origin: &Peer, cid: &str, inbox: &str| DeadLettersRequest {
        origin: origin.origin.to_string(),
        cid: cid.to_owned(),
        inbox: inbox.to_owned(),
        ..DeadLettersRequest::default()
    };
    let dead = DeadLettersRequest {
        states: vec!["dead".to_owned()],
        ..DeadLettersRequest::default()
    };
    assert_eq!(process.replayed(dead).await, 0);
    // They are refused again, and so stay what they are.
    assert_eq!(process.replayed(which(&one, &first.cid, to[1])).await, 1);
    process.settled(second.position).await;
    assert_eq!(process.replayed(which(&one, &second.cid, "")).await, 2);
    process.settled(second.position).await;
    assert_eq!(process.replayed(which(&two, "", "")).await, 2);
    process.settled(second.position).await;
    assert_eq!(process.in_state("refused").await.len(), 6);
    assert_eq!((one.tried(), two.tried()), (4 + 3, 2 + 2));

    assert_eq!(process.dropped(which(&one, &first.cid, to[0])).await, 1);
    assert_eq!(process.dropped(which(&two, "", "")).await, 2);
    assert_eq!(process.dropped(all()).await, 3);
    assert!(process.rows().await.is_empty());
    assert_eq!((one.tried(), two.tried()), (7, 4), "nothing dropped is sent");
}

#[tokio::test]
async fn nothing_is_sent_again_to_a_blocked_peer_and_a_block_ends_what_is() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    answers_what_it_reads(&peer);
    let bob = peer.actor("bob");
    let refused = domain.says("422", &[&bob]).await;
    process.settled(refused.position).await;
    let blocked = block(&domain.origin, &peer.origin, domain.clock.now()).unwrap();
    let position = domain.decide(&blocked).await;
    process.fanned_out(position).await;
    let answer = process.replay(all()).await.unwrap();
    assert_eq!((answer.replayed, answer.blocked), (0, 1));
    let lifted = unblock(&domain.origin, blocked.id(), domain.clock.now()).unwrap();
    let position = domain.decide(&lifted).await;
    process.fanned_out(position).await;
    peer.is_away(true);
    assert_eq!(process.replayed(all()).await, 1);
    eventually("it is tried in vain", async || {
        process.row(refused.position).await.status == 503
    })
    .await;
    domain.pass(1);
    let again = block(&domain.origin, &peer.origin, domain.clock.now()).unwrap();
    let position = domain.decide(&again).await;
    process.settled(position).await;
    let row = process.row(refused.position).await;
    assert_eq!((row.state.as_str(), row.cause.as_str()), ("refused", "blocked"));
}

#[tokio::test]
async fn one_delivery_is_shown_with_what_it_sends() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    answers_what_it_reads(&peer);
    let bob = peer.actor("bob");
    let refused = domain.says("422", &[&bob, &peer.actor("cat")]).await;
    process.settled(refused.position).await;
    let get = async |cid: &str, inbox: &str| {
        let request = GetDeliveryRequest {
            cid: cid.to_owned(),
            inbox: inbox.to_owned(),
        };
        process.client(Role::Site).get_delivery(request).await
    };
    let shown = get(&refused.cid, &bob).await.unwrap().into_inner();
    let row = shown.delivery.unwrap();
    assert_eq!(
        (row.inbox.as_str(), row.status, row.position),
        (bob.as_str(), 422, refused.position)
    );
    assert_eq!(shown.activity_id, refused.activity_id);
    assert_eq!(shown.body, domain.entry(refused.position).await.body);
    for (cid, inbox) in [
        (refused.cid.as_str(), "https://elsewhere.example/"),
        ("bafyno", bob.as_str()),
    ] {
        let missing = get(cid, inbox).await.unwrap_err();
        assert_eq!(missing.code(), tonic::Code::NotFound);
    }
}

#[tokio::test]
async fn a_decision_over_everything_must_be_meant() {
    let domain = Domain::start().await;
    let process = domain.deliver().await;
    let refused = |request, code| {
        let process = &process;
        async move {
            let status = process.replay(request).await.unwrap_err();
            assert_eq!(status.code(), code, "{status:?}");
        }
    };
    refused(DeadLettersRequest::default(), tonic::Code::InvalidArgument).await;
    let unsure = DeadLettersRequest {
        cid: "bafyone".to_owned(),
        ..all()
    };
    refused(unsure, tonic::Code::InvalidArgument).await;
    let owed = DeadLettersRequest {
        states: vec!["dead".to_owned(), "pending".to_owned()],
        ..DeadLettersRequest::default()
    };
    refused(owed, tonic::Code::InvalidArgument).await;
    let stranger = DeadLettersRequest {
        origin: "https://nobody.example".to_owned(),
        ..DeadLettersRequest::default()
    };
    refused(stranger, tonic::Code::NotFound).await;
}

#[tokio::test]
async fn thousands_are_sent_again_page_by_page_and_once() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    peer.says(403);
    let actors: Vec<_> = (0..600).map(|number| peer.actor(&format!("a{number}"))).collect();
    let to: Vec<_> = actors.iter().map(String::as_str).collect();
    domain.note(&to).await;
    let last = domain.note(&to).await;
    process.settled(last.position).await;
    let tried = peer.tried();
    // They are refused again at once, while the run goes on.
    assert_eq!(process.replayed(all()).await, 1_200);
    process.settled(last.position).await;
    assert_eq!(peer.tried(), tried + 1_200);
}
