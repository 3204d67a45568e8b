//! A domain without its gateway and delivery: a real log, and projections beside it, over gRPC, each caller with its
//! role's token.

use std::sync::Arc;

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{
    AppendRequest, DescribeRequest, Meta, NewEntry, PublishRequest, ReadRequest, append_response,
    log_client::LogClient, publish_response,
};
use fedsx_runtime::{
    Context,
    keyring::MasterKey,
    token::{Credentials, Guard, Role, Tokens},
    transport::{self, Authorised, Memory},
};
use serde_json::{Value, json};
use tonic::{
    service::{Routes, interceptor::InterceptedService},
    transport::Server,
};

pub(crate) mod replica;
pub(crate) mod single;

pub(crate) const BASE: &str = "https://blog.example/";
pub(crate) const ALICE: &str = "https://blog.example/actors/alice";
pub(crate) const BOB: &str = "https://events.example/actors/bob";

/// The views that are code, as `core` declares them.
const VIEWS: [&str; 6] = [
    "actors",
    "blocks",
    "followers",
    "following",
    "following_by",
    "objects",
];

pub(crate) fn origin() -> Origin {
    "https://blog.example".parse().unwrap()
}

/// The log of a domain, in which alice has been made.
#[derive(Debug)]
pub(crate) struct Domain {
    memory: Memory,
    pub(crate) tokens: Tokens,
    pub(crate) context: Context,
}

impl Domain {
    pub(crate) async fn start() -> Self {
        let (context, tokens) = (Context::default(), Tokens::generate());
        let (memory, incoming) = transport::memory();
        let master_key = Arc::new(MasterKey::parse(&MasterKey::generate()).unwrap());
        let store = fedsx_log::store::sqlite::memory().await.unwrap();
        let settings = fedsx_log::Settings::new(origin(), master_key);
        let log = fedsx_log::start(settings, Arc::new(store), context.clone())
            .await
            .unwrap();
        let routes = Routes::new(InterceptedService::new(log, Guard(tokens.clone())));
        let stop = context.shutdown.token().cancelled_owned();
        let server = Server::builder().add_routes(routes);
        tokio::spawn(server.serve_with_incoming_shutdown(incoming, stop));
        let domain = Self {
            memory,
            tokens,
            context,
        };
        let alice = json!({"type": "Person", "preferredUsername": "alice"});
        for actor in [json!({"type": "Service"}), alice] {
            domain
                .publish("", json!({"type": "Create", "object": actor}))
                .await;
        }
        for name in VIEWS {
            let record = json!({"name": name, "fold": {"native": 1}});
            domain
                .publish("", json!({"type": "DefineProjection", "object": record}))
                .await;
        }
        domain
    }

    pub(crate) fn log(&self, role: Role) -> LogClient<Authorised> {
        LogClient::new(InterceptedService::new(
            self.memory.channel(),
            Credentials::of(&self.tokens, role),
        ))
    }

    /// The position of what was published.
    pub(crate) async fn publish(&self, actor: &str, draft: Value) -> u64 {
        let request = PublishRequest {
            actor: actor.to_owned(),
            draft: draft.to_string().into(),
            ..PublishRequest::default()
        };
        let answer = self.log(Role::Operator).publish(request).await.unwrap();
        match answer.into_inner().outcome {
            Some(publish_response::Outcome::Appended(placed)) => placed.position,
            other => panic!("{other:?}"),
        }
    }

    /// Lets a local actor define, as an operator does.
    pub(crate) async fn grant(&self, actor: &str) {
        let grant = json!({
            "@context": "https://www.w3.org/ns/activitystreams", "id": format!("{BASE}decisions/grant"),
            "type": "Grant", "actor": BASE, "object": actor, "grant": "define",
        });
        let entry = NewEntry {
            body: grant.to_string().into(),
            meta: None,
        };
        let request = AppendRequest {
            stream: "domain".to_owned(),
            entries: vec![entry],
            ..AppendRequest::default()
        };
        self.log(Role::Operator).append(request).await.unwrap();
    }

    /// What the gateway does with an activity that it has verified.
    pub(crate) async fn receive(&self, activity: &Value) {
        let actor = &activity["actor"];
        let actor = actor.as_str().or(actor["id"].as_str()).unwrap();
        let entry = NewEntry {
            body: activity.to_string().into(),
            meta: Some(Meta {
                inbox: format!("{actor}/inbox"),
                ..Meta::default()
            }),
        };
        let request = AppendRequest {
            stream: format!("inbox/{actor}"),
            entries: vec![entry],
            ..AppendRequest::default()
        };
        let answer = self.log(Role::Gateway).append(request).await.unwrap();
        assert!(matches!(
            answer.into_inner().outcome,
            Some(append_response::Outcome::Appended(_))
        ));
    }

    pub(crate) async fn head(&self) -> u64 {
        let described = self.log(Role::Site).describe(DescribeRequest {}).await;
        described.unwrap().into_inner().head
    }

    /// What alice has published, at most 1000.
    pub(crate) async fn outbox(&self) -> Vec<Value> {
        self.stream(&format!("outbox/{ALICE}")).await
    }

    /// The activities of a stream, at most 1000.
    pub(crate) async fn stream(&self, stream: &str) -> Vec<Value> {
        let request = ReadRequest {
            stream: stream.to_owned(),
            limit: 1000,
            ..ReadRequest::default()
        };
        let read = self.log(Role::Site).read(request).await.unwrap();
        let entries = read.into_inner().entries.into_iter();
        entries
            .map(|entry| serde_json::from_slice(&entry.body).unwrap())
            .collect()
    }
}

/// A record that is shipped: `events/behaviours/rsvp`.
pub(crate) fn shipped(name: &str) -> Value {
    let file = format!("{}/../../genesis/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap();
    let mut record: Value = serde_saphyr::from_str(&text).unwrap();
    record["profile"] = "fedsx-cel-1".into();
    record
}

/// What an actor at `events.example` says; the id is made of the verb and a serial.
pub(crate) fn said(actor: &str, verb: &str, serial: impl std::fmt::Display, object: Value) -> Value {
    json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": format!("https://events.example/{}/{serial}", verb.to_lowercase()),
        "type": verb,
        "actor": actor,
        "object": object,
        "to": [ALICE],
    })
}
