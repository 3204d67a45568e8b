//! A domain with a real log, on a clock that the test moves.

use std::sync::Arc;

use fedsx_delivery::LogClient;
use fedsx_kernel::{
    activity::{Activity, PUBLIC},
    key::VerifyingKey,
    origin::Origin,
    stream::Stream,
};
use fedsx_proto::v1::{
    AppendRequest, Appended, Entry, Expected, GetRequest, Meta, NewEntry, PublishRequest, append_response,
    expected, get_request, log_client, publish_response,
};
use fedsx_runtime::{
    Context,
    clock::{Clock, ManualClock, SystemClock},
    keyring::MasterKey,
    token::{Credentials, Guard, Role, Tokens},
    transport::{self, Memory},
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tonic::service::interceptor::InterceptedService;

use crate::{
    peer::Peer,
    process::{Process, eventually},
};

/// A domain `https://blog.example` with an actor Alice.
pub(crate) struct Domain {
    pub(crate) origin: Origin,
    pub(crate) alice: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) manual: ManualClock,
    alice_key: (String, VerifyingKey),
    pub(crate) tokens: Tokens,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) log: Memory,
    pub(crate) folder: tempfile::TempDir,
}

impl Domain {
    /// A domain whose clock stands still until it is moved.
    pub(crate) async fn start() -> Self {
        let manual = ManualClock::new("2026-11-21T12:00:00Z".parse().unwrap());
        Self::with_clock(Arc::new(manual.clone()), manual).await
    }

    /// A domain on the machine's clock.
    pub(crate) async fn on_real_time() -> Self {
        Self::with_clock(Arc::new(SystemClock), ManualClock::new(SystemClock.now())).await
    }

    async fn with_clock(clock: Arc<dyn Clock>, manual: ManualClock) -> Self {
        let origin: Origin = "https://blog.example".parse().unwrap();
        let master = Arc::new(MasterKey::parse(&MasterKey::generate()).unwrap());
        let tokens = Tokens::generate();
        let context = Context {
            clock: clock.clone(),
            ..Context::default()
        };
        let store = fedsx_log::store::sqlite::memory().await.unwrap();
        let settings = fedsx_log::Settings::new(origin.clone(), master.clone());
        let server = fedsx_log::start(settings, Arc::new(store), context)
            .await
            .unwrap();
        let (log, incoming) = transport::memory();
        let service = InterceptedService::new(server, Guard(tokens.clone()));
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        let mut operator = client(&log, &tokens, Role::Operator);
        publish(
            &mut operator,
            "",
            json!({"type": "Create", "object": {"type": "Service"}, "to": [PUBLIC]}),
        )
        .await;
        let object = json!({"type": "Person", "preferredUsername": "alice"});
        let made = publish(
            &mut operator,
            "",
            json!({"type": "Create", "object": object, "to": [PUBLIC]}),
        )
        .await;
        let entry = get(&mut operator, get_request::By::Position(made.position)).await;
        let document: Value = serde_json::from_slice(&entry.body).unwrap();
        let key = &document["object"]["assertionMethod"][0];
        let alice_key = (
            key["id"].as_str().unwrap().to_owned(),
            VerifyingKey::from_multibase(key["publicKeyMultibase"].as_str().unwrap()).unwrap(),
        );
        let alice = origin.actor("alice");
        let folder = tempfile::tempdir().unwrap();
        Self {
            origin,
            alice,
            clock,
            manual,
            alice_key,
            tokens,
            master,
            log,
            folder,
        }
    }

    /// A peer that knows Alice's key.
    pub(crate) async fn peer(&self) -> Peer {
        let peer = Peer::start().await;
        peer.knows(&self.alice_key.0, self.alice_key.1.clone());
        peer
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.manual.advance(SignedDuration::from_secs(seconds));
    }

    /// Lets time pass until fan-out is past a position and nothing is owed.
    pub(crate) async fn settles(&self, process: &Process, position: u64) {
        process.fanned_out(position).await;
        eventually("nothing is owed", async || {
            self.pass(1);
            process.pending().await == 0
        })
        .await;
    }

    /// Publishes a note of Alice to these, answering its position and id.
    pub(crate) async fn note(&self, to: &[&str]) -> Appended {
        let object = json!({"type": "Note", "content": "Gig Night"});
        self.publish(json!({"type": "Create", "object": object, "to": to}))
            .await
    }

    /// Publishes a note to Alice's followers.
    pub(crate) async fn post(&self) -> Appended {
        self.note(&[PUBLIC, &format!("{}/followers", self.alice)]).await
    }

    /// Publishes a draft of Alice.
    pub(crate) async fn publish(&self, draft: Value) -> Appended {
        publish(&mut self.operator(), "alice", draft).await
    }

    /// A client of the log with the operator's token.
    pub(crate) fn operator(&self) -> LogClient {
        client(&self.log, &self.tokens, Role::Operator)
    }

    /// Alice is followed by an actor of a peer, and accepts. Answers the Follow's and the Accept's place.
    pub(crate) async fn followed_by(&self, peer: &Peer, name: &str) -> (Activity, Appended) {
        let follow = self.asked_by(peer, name).await;
        let accept = self.accept(&follow).await;
        (follow, accept)
    }

    /// An actor of a peer asks to follow Alice; its server has a shared inbox.
    pub(crate) async fn asked_by(&self, peer: &Peer, name: &str) -> Activity {
        let inbox = format!("{}/inbox", peer.actor(name));
        self.asked_from(peer, name, &inbox, &peer.origin.shared_inbox())
            .await
    }

    pub(crate) async fn asked_from(
        &self,
        peer: &Peer,
        name: &str,
        inbox: &str,
        shared_inbox: &str,
    ) -> Activity {
        let follow = remote(&peer.actor(name), json!({"type": "Follow", "object": self.alice}));
        self.receive(&follow, inbox, shared_inbox).await;
        follow
    }

    /// Accepts a Follow that is named by its id alone.
    pub(crate) async fn accept(&self, follow: &Activity) -> Appended {
        self.publish(json!({"type": "Accept", "object": follow.id(), "to": [follow.actor()]}))
            .await
    }

    /// An activity of a remote actor is accepted here.
    pub(crate) async fn receive(&self, activity: &Activity, inbox: &str, shared_inbox: &str) -> u64 {
        let stream = Stream::Inbox(activity.actor().to_owned());
        let meta = Meta {
            inbox: inbox.to_owned(),
            shared_inbox: shared_inbox.to_owned(),
            ..Meta::default()
        };
        self.append(Role::Gateway, &stream, activity, Some(meta)).await
    }

    /// An operator's decision.
    pub(crate) async fn decide(&self, activity: &Activity) -> u64 {
        self.append(Role::Operator, &Stream::Domain, activity, None).await
    }

    pub(crate) async fn append(
        &self,
        role: Role,
        stream: &Stream,
        activity: &Activity,
        meta: Option<Meta>,
    ) -> u64 {
        let body = serde_json::to_vec(activity.document()).unwrap();
        let request = AppendRequest {
            stream: stream.to_string(),
            expected: Some(Expected {
                kind: Some(expected::Kind::Any(true)),
            }),
            entries: vec![NewEntry {
                body: body.into(),
                meta,
            }],
            kv: Vec::new(),
        };
        let answer = client(&self.log, &self.tokens, role)
            .append(request)
            .await
            .unwrap()
            .into_inner();
        match answer.outcome {
            Some(append_response::Outcome::Appended(appended)) => appended.position,
            other => panic!("not appended: {other:?}"),
        }
    }

    /// The log's entries in the stream `domain`.
    pub(crate) async fn decisions(&self) -> Vec<Value> {
        let entries = self.stream("domain").await;
        entries
            .iter()
            .map(|entry| serde_json::from_slice(&entry.body).unwrap())
            .collect()
    }

    /// The log's entries in a stream.
    pub(crate) async fn stream(&self, stream: &str) -> Vec<Entry> {
        let request = fedsx_proto::v1::ReadRequest {
            stream: stream.to_owned(),
            limit: 1000,
            ..Default::default()
        };
        let page = self.operator().read(request).await.unwrap();
        page.into_inner().entries
    }

    pub(crate) async fn entry(&self, position: u64) -> Entry {
        get(&mut self.operator(), get_request::By::Position(position)).await
    }
}

/// An activity of a remote actor.
pub(crate) fn remote(actor: &str, said: Value) -> Activity {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut document = json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": format!("{actor}/said/{number}"),
        "actor": actor,
    });
    document
        .as_object_mut()
        .unwrap()
        .extend(said.as_object().unwrap().clone());
    Activity::from_document(document.as_object().unwrap().clone()).unwrap()
}

pub(crate) fn client(log: &Memory, tokens: &Tokens, role: Role) -> LogClient {
    log_client::LogClient::new(InterceptedService::new(
        log.channel(),
        Credentials::of(tokens, role),
    ))
}

async fn publish(client: &mut LogClient, actor: &str, draft: Value) -> Appended {
    let request = PublishRequest {
        actor: actor.to_owned(),
        draft: serde_json::to_vec(&draft).unwrap().into(),
        ..PublishRequest::default()
    };
    match client.publish(request).await.unwrap().into_inner().outcome {
        Some(publish_response::Outcome::Appended(appended)) => appended,
        other => panic!("not published: {other:?}"),
    }
}

async fn get(client: &mut LogClient, by: get_request::By) -> Entry {
    client
        .get(GetRequest { by: Some(by) })
        .await
        .unwrap()
        .into_inner()
}
