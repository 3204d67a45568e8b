//! A domain without its edge to people: a real log, views by hand, and the gateway's router.

use std::sync::Arc;

use axum::{Router, body::Body};
use fedsx_gateway::{FlowsClient, LogClient, ProjectionClient, Settings};
use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{
    DescribeRequest, Entry, GetKvRequest, GetRequest, ListPeerTypesRequest, PublishRequest, PutBlobRequest,
    ReadRequest, flows_client, flows_server::FlowsServer, get_request::By, log_client, projection_client,
    projection_server::ProjectionServer, publish_response::Outcome,
};
use fedsx_runtime::{
    Context,
    clock::ManualClock,
    fetch::{Fetcher, Policy},
    health::Lacking,
    keyring::MasterKey,
    token::{Credentials, Guard, Role, Tokens},
    transport::{self, Channel},
};
use http::Request;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tonic::{service::interceptor::InterceptedService, transport::Server};
use tower::ServiceExt as _;

use crate::{
    answer::Answer,
    flows_by_hand::FlowsByHand,
    losing::{Late, Losing},
    views::Views,
};

pub(crate) const ORIGIN: &str = "https://events.example";
pub(crate) const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

pub(crate) struct Domain {
    pub(crate) origin: Origin,
    pub(crate) router: Router,
    pub(crate) views: Views,
    pub(crate) flows: FlowsByHand,
    pub(crate) clock: ManualClock,
    channel: Channel,
    tokens: Tokens,
    settings: Settings,
    context: Context,
    losing: Losing,
}

/// Another gateway of a domain; it ends with the value.
pub(crate) struct Gateway {
    pub(crate) router: Router,
    pub(crate) context: Context,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.context.shutdown.begin();
    }
}

impl Domain {
    /// A domain with its base actor and the person alice.
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// The same, with other settings of the gateway.
    pub(crate) async fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let origin: Origin = ORIGIN.parse().unwrap();
        let clock = ManualClock::new("2026-11-21T12:00:00Z".parse().unwrap());
        let (tokens, views, flows) = (Tokens::generate(), Views::default(), FlowsByHand::default());
        let context = Context {
            clock: Arc::new(clock.clone()),
            ..Context::default()
        };
        let losing = Losing::default();
        let mut settings = Settings::new(origin.clone());
        adjust(&mut settings);
        let channel = serve(&settings, &tokens, (&views, &flows), &losing, &context).await;
        let router = gateway(&channel, &tokens, &settings, context.clone()).await;
        let domain = Self {
            origin,
            router,
            views,
            flows,
            clock,
            channel,
            tokens,
            settings,
            context,
            losing,
        };
        domain.create(None, "Service").await;
        domain.create(Some("alice"), "Person").await;
        domain
    }

    /// Another gateway of the same domain, that has seen nothing yet.
    pub(crate) async fn second_gateway(&self) -> Gateway {
        let context = self.another();
        let router = gateway(&self.channel, &self.tokens, &self.settings, context.clone()).await;
        Gateway { router, context }
    }

    /// A gateway of the same domain whose log is away.
    pub(crate) async fn without_log(&self) -> Gateway {
        let (memory, incoming) = transport::memory();
        drop(incoming);
        let context = self.another();
        let views = projection(&self.channel, &self.tokens);
        let log = log(&memory.channel(), &self.tokens, Role::Gateway);
        let flows = flows(&self.channel, &self.tokens);
        let router = fedsx_gateway::start(
            self.settings.clone(),
            log,
            views,
            flows,
            fetcher(),
            context.clone(),
        )
        .await
        .unwrap();
        Gateway { router, context }
    }

    fn another(&self) -> Context {
        Context {
            clock: Arc::new(self.clock.clone()),
            ..Context::default()
        }
    }

    /// What the gateway lacks to be ready.
    pub(crate) fn lacking(&self) -> Lacking {
        self.context.readiness.lacking()
    }

    /// A role's token, as an `Authorization` header has it.
    pub(crate) fn token(&self, role: Role) -> String {
        format!("Bearer {}", self.tokens.of(role).unwrap())
    }

    /// The gateway's metrics as text.
    pub(crate) fn metrics(&self) -> String {
        String::from_utf8(self.context.metrics.render().unwrap()).unwrap()
    }

    /// The answer to the next append gets lost once the log has carried it out.
    pub(crate) fn lose_an_append(&self) {
        self.losing.lose_one("/AppendMany");
    }

    /// The answer to the next call of a method of the log is late.
    pub(crate) fn delay(&self, method: &'static str) -> Late {
        self.losing.delay_one(method)
    }

    /// Makes an actor by a logged Create, and its row as the view would have it.
    pub(crate) async fn create(&self, name: Option<&str>, kind: &str) -> Value {
        let mut object = json!({ "type": kind, "name": name.unwrap_or("Events") });
        if let Some(name) = name {
            object["preferredUsername"] = name.into();
        }
        let entry = self
            .publish("", &json!({ "type": "Create", "object": object, "to": [PUBLIC] }))
            .await;
        let document = body(&entry)["object"].clone();
        let row = json!({ "document": document, "name": name, "kind": kind, "manual": false });
        self.views.put("actors", document["id"].as_str().unwrap(), row);
        document
    }

    pub(crate) async fn publish(&self, actor: &str, draft: &Value) -> Entry {
        let request = PublishRequest {
            actor: actor.to_owned(),
            draft: draft.to_string().into_bytes().into(),
            ..PublishRequest::default()
        };
        match self.log().publish(request).await.unwrap().into_inner().outcome {
            Some(Outcome::Appended(appended)) => self.entry(By::Position(appended.position)).await,
            other => panic!("{other:?}"),
        }
    }

    /// Puts a blob, and tells its CID.
    pub(crate) async fn put_blob(&self, bytes: &[u8]) -> String {
        let chunks: Vec<_> = bytes.chunks(1 << 20).map(|data| data.to_vec().into()).collect();
        let more = chunks
            .into_iter()
            .map(|data| PutBlobRequest { data, last: false });
        let end = PutBlobRequest {
            last: true,
            ..PutBlobRequest::default()
        };
        let requests: Vec<_> = more.chain([end]).collect();
        let put = self.log().put_blob(futures::stream::iter(requests)).await;
        put.unwrap().into_inner().cid
    }

    pub(crate) async fn entry(&self, by: By) -> Entry {
        self.log()
            .get(GetRequest { by: Some(by) })
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn stream(&self, stream: &str) -> Vec<Entry> {
        let request = ReadRequest {
            stream: stream.to_owned(),
            ..ReadRequest::default()
        };
        self.log().read(request).await.unwrap().into_inner().entries
    }

    pub(crate) async fn kv(&self, space: &str, key: &str) -> Option<Value> {
        let request = GetKvRequest {
            space: space.to_owned(),
            key: key.to_owned(),
        };
        let item = self.log().get_kv(request).await.unwrap().into_inner().item;
        item.map(|item| serde_json::from_slice(&item.value).unwrap())
    }

    /// The peers' types that the log keeps, each with the origin that showed it.
    pub(crate) async fn peer_types(&self) -> Vec<(String, String)> {
        let request = ListPeerTypesRequest::default();
        let types = self
            .log()
            .list_peer_types(request)
            .await
            .unwrap()
            .into_inner()
            .types;
        types
            .into_iter()
            .map(|known| (known.name, known.origin))
            .collect()
    }

    pub(crate) async fn head(&self) -> u64 {
        self.log()
            .describe(DescribeRequest {})
            .await
            .unwrap()
            .into_inner()
            .head
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(&self.router, request).await
    }

    /// The answer to a request, its body not read yet.
    pub(crate) async fn answer(&self, request: Request<Body>) -> http::Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// GETs a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(path, "*/*").await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        let path = path.strip_prefix(ORIGIN).unwrap_or(path);
        let path = if path.is_empty() { "/" } else { path };
        self.send(
            Request::get(path)
                .header("accept", accept)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) fn now(&self) -> Timestamp {
        fedsx_runtime::clock::Clock::now(&self.clock)
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    fn log(&self) -> LogClient {
        log(&self.channel, &self.tokens, Role::Operator)
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        self.context.shutdown.begin();
    }
}

pub(crate) fn body(entry: &Entry) -> Value {
    serde_json::from_slice(&entry.body).unwrap()
}

pub(crate) fn fetcher() -> Fetcher {
    Fetcher::new(Policy::new(["http://127.0.0.1:*".to_owned()]).unwrap()).unwrap()
}

async fn serve(
    gateway: &Settings,
    tokens: &Tokens,
    (views, flows): (&Views, &FlowsByHand),
    losing: &Losing,
    context: &Context,
) -> Channel {
    let master_key = Arc::new(MasterKey::parse(&MasterKey::generate()).unwrap());
    let store = Arc::new(fedsx_log::store::sqlite::memory().await.unwrap());
    let mut settings = fedsx_log::Settings::new(gateway.origin.clone(), master_key);
    settings.strict_object_schema = gateway.strict_object_schema;
    settings.blobs = Some(fedsx_log::blob::BlobStore::memory());
    let log = fedsx_log::start(settings, store, context.clone()).await.unwrap();
    let guard = Guard(tokens.clone());
    let (memory, incoming) = transport::memory();
    let server = Server::builder()
        .layer(losing.clone())
        .add_service(InterceptedService::new(log, guard.clone()))
        .add_service(InterceptedService::new(
            ProjectionServer::new(views.clone()),
            guard.clone(),
        ))
        .add_service(InterceptedService::new(FlowsServer::new(flows.clone()), guard));
    let stop = context.shutdown.token().cancelled_owned();
    tokio::spawn(server.serve_with_incoming_shutdown(incoming, stop));
    memory.channel()
}

async fn gateway(channel: &Channel, tokens: &Tokens, settings: &Settings, context: Context) -> Router {
    let (log, views) = (log(channel, tokens, Role::Gateway), projection(channel, tokens));
    let flows = flows(channel, tokens);
    fedsx_gateway::start(settings.clone(), log, views, flows, fetcher(), context)
        .await
        .unwrap()
}

fn log(channel: &Channel, tokens: &Tokens, role: Role) -> LogClient {
    log_client::LogClient::with_interceptor(channel.clone(), Credentials::of(tokens, role))
}

fn projection(channel: &Channel, tokens: &Tokens) -> ProjectionClient {
    let credentials = Credentials::of(tokens, Role::Gateway);
    projection_client::ProjectionClient::with_interceptor(channel.clone(), credentials)
}

fn flows(channel: &Channel, tokens: &Tokens) -> FlowsClient {
    flows_client::FlowsClient::with_interceptor(channel.clone(), Credentials::of(tokens, Role::Gateway))
}
