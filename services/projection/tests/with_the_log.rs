//! The views beside a real log, as a domain runs them: over gRPC, each caller with its role's token.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so where it fails")]

use std::sync::Arc;

use fedsx_kernel::origin::Origin;
use fedsx_projection::{Settings, store::sqlite};
use fedsx_proto::v1::{
    AppendRequest, DescribeRequest, GetRowRequest, Meta, NewEntry, PublishRequest, append_response,
    log_client::LogClient, projection_client::ProjectionClient,
};
use fedsx_runtime::{
    Context,
    keyring::MasterKey,
    token::{Credentials, Guard, Role, Tokens},
    transport::{self, Memory},
};
use serde_json::{Value, json};
use tonic::{
    service::{Routes, interceptor::InterceptedService},
    transport::{Channel, Server},
};

const BASE: &str = "https://blog.example/";
const ALICE: &str = "https://blog.example/actors/alice";
const BOB: &str = "https://events.example/actors/bob";

type Authorised = InterceptedService<Channel, Credentials>;

/// A domain without its gateway and delivery.
struct Domain {
    memory: Memory,
    tokens: Tokens,
    context: Context,
}

impl Domain {
    async fn start() -> Self {
        let origin: Origin = "https://blog.example".parse().unwrap();
        let (context, tokens) = (Context::default(), Tokens::generate());
        let (memory, incoming) = transport::memory();
        let domain = Self {
            memory,
            tokens: tokens.clone(),
            context: context.clone(),
        };
        let master_key = Arc::new(MasterKey::parse(&MasterKey::generate()).unwrap());
        let store = fedsx_log::store::sqlite::memory().await.unwrap();
        let settings = fedsx_log::Settings::new(origin.clone(), master_key);
        let log = fedsx_log::start(settings, Arc::new(store), context.clone())
            .await
            .unwrap();
        let store = sqlite::memory(context.clock.clone()).await.unwrap();
        let client = domain.log(Role::Projection);
        let views = fedsx_projection::start(Settings::new(origin), Arc::new(store), client, context.clone());
        let views = views.await.unwrap();
        let guard = Guard(tokens);
        let routes = Routes::new(InterceptedService::new(log, guard.clone()))
            .add_service(InterceptedService::new(views, guard));
        let stop = context.shutdown.token().cancelled_owned();
        tokio::spawn(
            Server::builder()
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, stop),
        );
        domain
    }

    fn authorised(&self, role: Role) -> Authorised {
        InterceptedService::new(self.memory.channel(), Credentials::of(&self.tokens, role))
    }

    fn log(&self, role: Role) -> LogClient<Authorised> {
        LogClient::new(self.authorised(role))
    }

    async fn publish(&self, actor: &str, draft: Value) {
        let request = PublishRequest {
            actor: actor.to_owned(),
            draft: draft.to_string().into(),
            ..PublishRequest::default()
        };
        self.log(Role::Operator).publish(request).await.unwrap();
    }

    /// What the gateway does with an activity of bob's that it has verified.
    async fn receive(&self, activity: &Value) {
        let entry = NewEntry {
            body: activity.to_string().into(),
            meta: Some(Meta {
                inbox: format!("{BOB}/inbox"),
                ..Meta::default()
            }),
        };
        let request = AppendRequest {
            stream: format!("inbox/{BOB}"),
            entries: vec![entry],
            ..AppendRequest::default()
        };
        let answer = self
            .log(Role::Gateway)
            .append(request)
            .await
            .unwrap()
            .into_inner();
        assert!(matches!(
            answer.outcome,
            Some(append_response::Outcome::Appended(_))
        ));
    }

    async fn head(&self) -> u64 {
        self.log(Role::Site)
            .describe(DescribeRequest {})
            .await
            .unwrap()
            .into_inner()
            .head
    }

    /// A row of a view that has seen everything that is in the log now.
    async fn row(&self, view: &str, key: &str) -> Option<Value> {
        let request = GetRowRequest {
            view: view.to_owned(),
            key: key.to_owned(),
            at_least: self.head().await,
        };
        match ProjectionClient::new(self.authorised(Role::Gateway))
            .get_row(request)
            .await
        {
            Ok(found) => serde_json::from_slice(&found.into_inner().row?.value).ok(),
            Err(status) if status.code() == tonic::Code::NotFound => None,
            Err(status) => panic!("{status}"),
        }
    }

    async fn with_alice() -> Self {
        let domain = Self::start().await;
        domain
            .publish("", json!({"type": "Create", "object": {"type": "Service"}}))
            .await;
        let alice = json!({"type": "Person", "preferredUsername": "alice"});
        domain
            .publish("", json!({"type": "Create", "object": alice}))
            .await;
        domain
    }
}

fn follow(id: &str, object: &str) -> Value {
    json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": format!("https://events.example/{id}"),
        "type": "Follow",
        "actor": BOB,
        "object": object,
        "to": [object],
    })
}

#[tokio::test]
async fn actors_that_the_log_made_are_in_the_view_with_their_keys() {
    let domain = Domain::with_alice().await;
    let base = domain.row("actors", BASE).await.unwrap();
    assert_eq!((&base["kind"], &base["name"]), (&json!("Service"), &Value::Null));
    let alice = domain.row("actors", ALICE).await.unwrap();
    assert_eq!(
        (&alice["kind"], &alice["name"], &alice["manual"]),
        (&json!("Person"), &json!("alice"), &json!(false))
    );
    assert!(alice["document"]["assertionMethod"][0]["publicKeyMultibase"].is_string());
    assert!(domain.context.readiness.lacking().is_empty());
}

#[tokio::test]
async fn a_follow_is_accepted_undone_and_accepted_again() {
    let domain = Domain::with_alice().await;
    for (asked, followed) in [(ALICE, ALICE), (BASE, BASE), ("https://blog.example", BASE)] {
        let key = format!("{followed} {BOB}");
        let serial = domain.head().await;
        let before = domain.row("followers", &key).await;
        assert_eq!(before, None);
        for round in 0..2 {
            let follow = follow(&format!("follows/{serial}/{round}"), asked);
            domain.receive(&follow).await;
            while domain.row("followers", &key).await.unwrap()["state"] != "accepted" {
                tokio::task::yield_now().await;
            }
            let row = domain.row("followers", &key).await.unwrap();
            assert_eq!(
                (&row["follow_id"], &row["inbox"]),
                (&follow["id"], &json!(format!("{BOB}/inbox")))
            );
            domain
                .receive(&json!({
                    "@context": "https://www.w3.org/ns/activitystreams",
                    "id": format!("https://events.example/undos/{serial}/{round}"),
                    "type": "Undo",
                    "actor": BOB,
                    "object": follow["id"],
                }))
                .await;
            assert_eq!(domain.row("followers", &key).await, None);
        }
    }
    assert!(
        domain
            .context
            .shutdown
            .finish(std::time::Duration::from_secs(10))
            .await
    );
}
