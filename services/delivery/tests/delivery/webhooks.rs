//! Webhooks of flows: posted like anything else, and what came of them told.

use fedsx_delivery::ledger::{
    Attempt, ClaimToken, Claims as _, Filter, Queries as _, Records as _, Report, sqlite,
};
use fedsx_kernel::{
    activity::Activity,
    cid::Cid,
    delivery::outcome::Outcome,
    flow::{Event, Status, Transition, Webhook},
    follow::block,
    stream::Stream,
};
use fedsx_proto::v1::{DeadLettersRequest, GetDeliveryRequest};
use fedsx_runtime::token::Role;
use jiff::SignedDuration;
use serde_json::json;

use crate::{
    domain::Domain,
    parking::{until_live, until_parked},
    peer::Peer,
    process::eventually,
};

fn webhook(domain: &Domain, url: &str) -> Webhook {
    Webhook {
        url: url.to_owned(),
        actor: domain.alice.clone(),
        body: json!({"b": 1, "a": "Gig Night"}),
    }
}

fn hook(peer: &Peer) -> String {
    format!("{}/hooks/in", peer.origin)
}

impl Domain {
    /// A flow sends a webhook, answering the entry's position.
    async fn sends(&self, flow: &str, attempt: u32, webhook: Webhook) -> u64 {
        let sent = Event::Sent {
            step: "call".to_owned(),
            item: None,
            attempt,
            webhook,
        };
        let transition = Transition {
            flow: flow.to_owned(),
            name: "tell".to_owned(),
            behaviour: Cid::of_canonical(b"behaviour"),
            activity: Cid::of_canonical(b"activity"),
            position: 1,
            from: 0,
            at: self.clock.now(),
            status: Status::Waiting,
            events: vec![sent],
        };
        let activity = transition.activity(&self.origin).unwrap();
        let stream = Stream::Flow(flow.to_owned());
        self.append(Role::Projection, &stream, &activity, None).await
    }

    /// What a flow was told, and at which version it was sent.
    async fn told(&self, flow: &str) -> Vec<(u64, Event)> {
        let entries = self.stream(&format!("flow/{flow}")).await;
        let transitions = entries.iter().map(|entry| {
            let activity = Activity::parse(&entry.body).unwrap();
            Transition::of(&activity).unwrap()
        });
        let answers = transitions.filter(|transition| matches!(transition.events[0], Event::Answered { .. }));
        answers
            .map(|transition| (transition.from, transition.events[0].clone()))
            .collect()
    }

    /// Waits until a flow was told so often.
    async fn is_told(&self, flow: &str, times: usize) -> Vec<(u64, Event)> {
        eventually("the flow is told", async || self.told(flow).await.len() >= times).await;
        self.told(flow).await
    }
}

fn answered(attempt: u32, delivered: bool, status: u16, cause: &str) -> (u64, Event) {
    let answered = Event::Answered {
        step: "call".to_owned(),
        item: None,
        attempt,
        delivered,
        status,
        cause: cause.to_owned(),
    };
    (1, answered)
}

#[tokio::test]
async fn a_webhook_is_posted_signed_and_its_flow_is_told() {
    let domain = Domain::start().await;
    let (peer, follower) = (domain.peer().await, domain.peer().await);
    let process = domain.deliver().await;
    let (_, accept) = domain.followed_by(&follower, "bob").await;
    let url = format!("{}#top", hook(&peer));
    let sent = domain.sends("one", 3, webhook(&domain, &url)).await;
    assert_eq!(domain.is_told("one", 1).await, [answered(3, true, 202, "")]);
    let received = peer.received().remove(0);
    assert_eq!(
        (received.path.as_str(), received.content_type.as_str()),
        ("/hooks/in", "application/json")
    );
    assert_eq!(received.activity, json!({"a": "Gig Night", "b": 1}));
    assert_eq!(received.idempotency_key.as_deref(), Some("\"one/call\""));
    let row = process.row(sent).await;
    assert_eq!(
        (row.state.as_str(), row.cid),
        ("delivered", domain.entry(sent).await.cid)
    );
    let which = GetDeliveryRequest {
        cid: domain.entry(sent).await.cid,
        inbox: url,
    };
    let shown = process.client(Role::Operator).get_delivery(which).await.unwrap();
    assert_eq!(&shown.into_inner().body[..], br#"{"a":"Gig Night","b":1}"#);
    process.settled(sent).await;
    assert_eq!(
        (peer.received().len(), follower.ids()),
        (1, vec![accept.activity_id])
    );
}

#[tokio::test]
async fn a_flow_is_told_why_its_webhook_was_not_taken_and_again_when_it_was_sent_again() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    peer.says(422);
    let url = hook(&peer);
    let sent = domain.sends("one", 1, webhook(&domain, &url)).await;
    let refused = answered(1, false, 422, "422 Unprocessable Entity");
    assert_eq!(domain.is_told("one", 1).await, std::slice::from_ref(&refused));
    peer.says(202);
    domain.pass(60);
    let which = DeadLettersRequest {
        all: true,
        ..DeadLettersRequest::default()
    };
    let mut client = process.client(Role::Operator);
    let replayed = client.replay_dead_letters(which).await.unwrap().into_inner();
    assert_eq!(replayed.replayed, 1);
    assert_eq!(
        domain.is_told("one", 2).await,
        [refused, answered(1, true, 202, "")]
    );
    process.settled(sent).await;
}

#[tokio::test]
async fn what_can_never_be_posted_is_refused() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let _process = domain.deliver().await;
    let nobody = format!("{}/actors/nobody", domain.origin);
    let cases = [
        ("nonsense", webhook(&domain, "nonsense"), "cannot post to"),
        (
            "plain",
            webhook(&domain, "http://peer.example/hook"),
            "peer.example",
        ),
        (
            "stranger",
            Webhook {
                actor: peer.actor("bob"),
                ..webhook(&domain, &hook(&peer))
            },
            "cannot post to",
        ),
        (
            "nobody",
            Webhook {
                actor: nobody,
                ..webhook(&domain, &hook(&peer))
            },
            "has no key",
        ),
    ];
    for (flow, webhook, why) in cases {
        domain.sends(flow, 1, webhook).await;
        let told = domain.is_told(flow, 1).await;
        let Event::Answered {
            delivered: false,
            status: 0,
            cause,
            ..
        } = &told[0].1
        else {
            panic!("{flow}: {told:?}");
        };
        assert!(cause.contains(why), "{flow}: {cause}");
    }
    assert_eq!(peer.tried(), 0);
}

#[tokio::test]
async fn webhooks_to_a_peer_that_is_away_reach_it_in_order_when_it_is_back() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    let process = domain.deliver().await;
    domain.followed_by(&peer, "bob").await;
    let accepted = domain.post().await;
    process.settled(accepted.position).await;
    let before = peer.received().len();
    peer.is_away(true);
    domain.sends("f0", 1, webhook(&domain, &hook(&peer))).await;
    until_parked(&domain, &process, &peer).await;
    let mut last = 0;
    for number in 1..5 {
        domain.post().await;
        last = domain
            .sends(&format!("f{number}"), 1, webhook(&domain, &hook(&peer)))
            .await;
    }
    process.fanned_out(last).await;
    assert_eq!(process.pending().await, 5, "the webhooks, and no activity");
    peer.is_away(false);
    until_live(&domain, &process, &peer).await;
    domain.settles(&process, last).await;
    let received = peer.received();
    let keys: Vec<_> = received
        .iter()
        .filter_map(|received| received.idempotency_key.as_deref())
        .collect();
    assert_eq!(keys, [0, 1, 2, 3, 4].map(|number| format!("\"f{number}/call\"")));
    assert_eq!(received.len(), before + 5 + 4, "each once");
    for number in 0..5 {
        let told = domain.is_told(&format!("f{number}"), 1).await;
        assert_eq!(told, [answered(1, true, 202, "")]);
    }
}

#[tokio::test]
async fn a_block_ends_webhooks_and_their_flows_are_told() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    peer.is_away(true);
    let process = domain.deliver().await;
    let owed = domain.sends("before", 1, webhook(&domain, &hook(&peer))).await;
    process.fanned_out(owed).await;
    let blocked = block(&domain.origin, &peer.origin, domain.clock.now()).unwrap();
    domain.decide(&blocked).await;
    domain.sends("after", 1, webhook(&domain, &hook(&peer))).await;
    for flow in ["before", "after"] {
        let told = domain.is_told(flow, 1).await.remove(0).1;
        let Event::Answered { delivered, cause, .. } = told else {
            panic!("{told:?}");
        };
        assert_eq!((delivered, cause.as_str()), (false, "blocked"), "{flow}");
    }
}

#[tokio::test]
async fn a_flow_is_told_once_whether_the_crash_was_before_or_after() {
    let domain = Domain::start().await;
    let peer = domain.peer().await;
    peer.says(500);
    let process = domain.deliver().await;
    let sent = domain.sends("one", 1, webhook(&domain, &hook(&peer))).await;
    process.fanned_out(sent).await;
    eventually("it was tried", async || process.row(sent).await.attempts == 1).await;
    process.stop().await;
    // A process records what came of it, and dies.
    let path = domain.path("delivery.db");
    let ledger = sqlite::open(&path, domain.clock.clone()).await.unwrap();
    domain.pass(60);
    let lane = ledger.list(&Filter::default(), None, 1).await.unwrap()[0].lane.id;
    let token = ClaimToken::new("dying", 1);
    let claim = ledger.claim(&[lane], &token).await.unwrap().remove(0);
    let delivered = Attempt {
        position: sent,
        outcome: Outcome::Delivered,
        at: claim.at,
        actor: None,
        status: 200,
        cause: String::new(),
        jitter: 0.0,
    };
    let report = Report {
        lane,
        token,
        attempts: vec![delivered],
        release: true,
        pause: SignedDuration::ZERO,
    };
    assert!(ledger.record(&[report]).await.unwrap().reports[0].mine);
    ledger.close().await;
    let process = domain.deliver().await;
    let once = [answered(1, true, 200, "")];
    assert_eq!(domain.is_told("one", 1).await, once);
    process.stop().await;
    // And one tells, and dies before it has that down.
    let url = format!("sqlite://{}", path.display());
    let database = sqlx::SqlitePool::connect(&url).await.unwrap();
    let untold = async |told: i64| {
        let count = "SELECT count(*) FROM delivery WHERE told = ?1";
        let count: i64 = sqlx::query_scalar(count)
            .bind(told)
            .fetch_one(&database)
            .await
            .unwrap();
        count
    };
    sqlx::raw_sql("UPDATE delivery SET told = 0")
        .execute(&database)
        .await
        .unwrap();
    let _process = domain.deliver().await;
    eventually("it is told again", async || untold(1).await == 1).await;
    assert_eq!(domain.told("one").await, once);
}
