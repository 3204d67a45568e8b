//! A log on a store, spoken to as its callers do.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fedsx_kernel::activity::PUBLIC;
use fedsx_proto::v1::{
    AppendRequest, AppendResponse, ChangeKvRequest, ChangeKvResponse, DescribeRequest, Entry,
    EvictPeerTypeRequest, Expected, GetKvRequest, GetRequest, GetTypeRequest, KeepPeerTypeRequest,
    KeepPeerTypeResponse, KnownType, KvChange, KvItem, ListDefinitionsRequest, ListDefinitionsResponse,
    ListKvRequest, ListPeerTypesRequest, MissingTypesRequest, NewEntry, PublishRequest, PublishResponse,
    ReadRequest, ReadResponse, append_response, expected, get_request, log_server::Log as _,
    publish_response,
};
use fedsx_runtime::{Context, code::Refusal, keyring::MasterKey, token::Role};
use serde_json::{Value, json};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;

use crate::{LogService, Settings, StartError, Tuning, store::Store};

pub(crate) const ORIGIN: &str = "https://blog.example";
pub(crate) const BASE: &str = "https://blog.example/";
pub(crate) const ALICE: &str = "https://blog.example/actors/alice";
pub(crate) const BOB: &str = "https://events.example/actors/bob";

/// Base64 of 32 bytes.
pub(crate) const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) type Answer<T> = Result<T, Refusal>;

pub(crate) struct Log {
    pub(crate) service: LogService,
    context: Context,
}

pub(crate) fn settings() -> Settings {
    Settings::new(
        ORIGIN.parse().unwrap(),
        Arc::new(MasterKey::parse(MASTER_KEY).unwrap()),
    )
}

/// Polls a condition until it holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn request<T>(role: Role, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(role);
    request
}

fn unwrap<T>(response: Result<tonic::Response<T>, tonic::Status>) -> Answer<T> {
    response.map(tonic::Response::into_inner).map_err(Refusal::from)
}

impl Log {
    pub(crate) async fn start(store: Arc<dyn Store>) -> Self {
        Self::try_start(store, Tuning::default()).await.unwrap()
    }

    pub(crate) async fn try_start(store: Arc<dyn Store>, tuning: Tuning) -> Result<Self, StartError> {
        Self::with(Settings { tuning, ..settings() }, store).await
    }

    pub(crate) async fn with(settings: Settings, store: Arc<dyn Store>) -> Result<Self, StartError> {
        let context = Context::default();
        let service = crate::service(settings, store, &context).await?;
        Ok(Self { service, context })
    }

    /// A log with the base and alice, whose Creates take positions 1 and 2.
    pub(crate) async fn with_actors(store: Arc<dyn Store>) -> Self {
        let log = Self::start(store).await;
        log.create_actors().await;
        log
    }

    pub(crate) async fn create_actors(&self) {
        self.publish("", &create_base(), "create base").await.unwrap();
        self.publish("", &create_person("alice"), "create alice")
            .await
            .unwrap();
    }

    pub(crate) fn readiness(&self) -> &fedsx_runtime::health::Readiness {
        &self.context.readiness
    }

    pub(crate) async fn stop(self) {
        assert!(
            self.context.shutdown.finish(Duration::from_secs(120)).await,
            "the log did not stop"
        );
    }

    pub(crate) async fn append_as(
        &self,
        role: Role,
        message: AppendRequest,
    ) -> Answer<append_response::Outcome> {
        let response: AppendResponse = unwrap(self.service.append(request(role, message)).await)?;
        Ok(response.outcome.unwrap())
    }

    /// What the gateway appends.
    pub(crate) async fn append(&self, message: AppendRequest) -> Answer<append_response::Outcome> {
        self.append_as(Role::Gateway, message).await
    }

    pub(crate) async fn publish_request(&self, message: PublishRequest) -> Answer<publish_response::Outcome> {
        let response: PublishResponse = unwrap(self.service.publish(request(Role::Site, message)).await)?;
        Ok(response.outcome.unwrap())
    }

    pub(crate) async fn publish(
        &self,
        actor: &str,
        draft: &Value,
        key: &str,
    ) -> Answer<publish_response::Outcome> {
        self.publish_request(PublishRequest {
            actor: actor.to_owned(),
            draft: bytes(draft),
            idempotency_key: key.to_owned(),
            ..PublishRequest::default()
        })
        .await
    }

    pub(crate) async fn read(&self, message: ReadRequest) -> Answer<ReadResponse> {
        unwrap(self.service.read(request(Role::Site, message)).await)
    }

    /// Every entry.
    pub(crate) async fn all(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let from = entries.last().map_or(0, |entry| entry.position);
            let page = self
                .read(ReadRequest {
                    from,
                    limit: 1000,
                    ..ReadRequest::default()
                })
                .await
                .unwrap();
            if page.entries.is_empty() {
                return entries;
            }
            entries.extend(page.entries);
        }
    }

    pub(crate) async fn get(&self, by: get_request::By) -> Answer<Entry> {
        unwrap(
            self.service
                .get(request(Role::Site, GetRequest { by: Some(by) }))
                .await,
        )
    }

    pub(crate) async fn head(&self) -> Answer<u64> {
        unwrap(
            self.service
                .describe(request(Role::Site, DescribeRequest {}))
                .await,
        )
        .map(|described| described.head)
    }

    pub(crate) async fn subscribe(
        &self,
        after: u64,
    ) -> Answer<ReceiverStream<Result<fedsx_proto::v1::SubscribeResponse, tonic::Status>>> {
        let message = fedsx_proto::v1::SubscribeRequest { after };
        unwrap(self.service.subscribe(request(Role::Delivery, message)).await)
    }

    pub(crate) async fn change(&self, changes: Vec<KvChange>) -> Answer<ChangeKvResponse> {
        unwrap(
            self.service
                .change_kv(request(Role::Operator, ChangeKvRequest { changes }))
                .await,
        )
    }

    pub(crate) async fn kv_as(&self, role: Role, space: &str, key: &str) -> Answer<Option<KvItem>> {
        let message = GetKvRequest {
            space: space.to_owned(),
            key: key.to_owned(),
        };
        unwrap(self.service.get_kv(request(role, message)).await).map(|found| found.item)
    }

    pub(crate) async fn kv(&self, key: &str) -> Option<KvItem> {
        self.kv_as(Role::Operator, "stock", key).await.unwrap()
    }

    pub(crate) async fn definitions(&self) -> ListDefinitionsResponse {
        let request = request(Role::Site, ListDefinitionsRequest::default());
        unwrap(self.service.list_definitions(request).await).unwrap()
    }

    pub(crate) async fn get_type(&self, cid: &str) -> Answer<KnownType> {
        let message = GetTypeRequest { cid: cid.to_owned() };
        unwrap(self.service.get_type(request(Role::Gateway, message)).await)
    }

    pub(crate) async fn missing_types(&self, cids: &[String]) -> Answer<Vec<String>> {
        let message = MissingTypesRequest { cids: cids.to_vec() };
        let answer = self.service.missing_types(request(Role::Gateway, message)).await;
        unwrap(answer).map(|answer| answer.cids)
    }

    pub(crate) async fn keep_type(&self, role: Role, body: &[u8]) -> Answer<KeepPeerTypeResponse> {
        let message = KeepPeerTypeRequest {
            body: body.to_vec().into(),
            origin: "https://events.example".to_owned(),
        };
        unwrap(self.service.keep_peer_type(request(role, message)).await)
    }

    pub(crate) async fn peer_types(&self, after: &str, limit: u32) -> Vec<KnownType> {
        let message = ListPeerTypesRequest {
            after: after.to_owned(),
            limit,
        };
        let answer = self.service.list_peer_types(request(Role::Site, message)).await;
        unwrap(answer).unwrap().types
    }

    pub(crate) async fn evict_type(&self, role: Role, cid: &str) -> Answer<()> {
        let message = EvictPeerTypeRequest { cid: cid.to_owned() };
        unwrap(self.service.evict_peer_type(request(role, message)).await).map(drop)
    }

    pub(crate) async fn list_as(&self, role: Role, message: ListKvRequest) -> Answer<Vec<KvItem>> {
        unwrap(self.service.list_kv(request(role, message)).await).map(|listed| listed.items)
    }
}

pub(crate) fn bytes(document: &Value) -> Bytes {
    serde_json::to_vec(document).unwrap().into()
}

pub(crate) fn create_base() -> Value {
    json!({"type": "Create", "to": [PUBLIC], "object": {"type": "Service", "name": "Blog"}})
}

pub(crate) fn create_person(name: &str) -> Value {
    json!({"type": "Create", "to": [PUBLIC], "object": {"type": "Person", "preferredUsername": name}})
}

pub(crate) fn note(content: &str, public: bool) -> Value {
    let to = if public { PUBLIC } else { BOB };
    json!({"type": "Create", "to": [to], "object": {"type": "Note", "content": content}})
}

/// A remote actor's complete activity: its id, and what it says.
pub(crate) fn received(actor: &str, id: &str, content: &str) -> Value {
    json!({
        "@context": fedsx_kernel::activity::CONTEXT,
        "id": format!("https://events.example/notes/{id}"),
        "type": "Create",
        "actor": actor,
        "to": [BASE],
        "object": {"type": "Note", "content": content},
    })
}

pub(crate) fn inbox(actor: &str, documents: &[Value]) -> AppendRequest {
    AppendRequest {
        stream: format!("inbox/{actor}"),
        entries: documents
            .iter()
            .map(|body| NewEntry {
                body: bytes(body),
                meta: None,
            })
            .collect(),
        ..AppendRequest::default()
    }
}

pub(crate) fn at_version(version: u64) -> Option<Expected> {
    Some(Expected {
        kind: Some(expected::Kind::Version(version)),
    })
}

pub(crate) fn put(key: &str, value: &str, expected_version: Option<u64>) -> KvChange {
    KvChange {
        space: "stock".to_owned(),
        key: key.to_owned(),
        value: Some(Bytes::from(value.to_owned())),
        expected_version,
    }
}

pub(crate) fn delete(key: &str, expected_version: Option<u64>) -> KvChange {
    KvChange {
        value: None,
        ..put(key, "", expected_version)
    }
}

/// Positions from 1 and versions from 1 in each stream, both without gaps.
pub(crate) fn assert_gapless(entries: &[Entry]) {
    let mut versions = std::collections::HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry.position, u64::try_from(index).unwrap() + 1);
        let version = versions.entry(entry.stream.clone()).or_insert(0);
        *version += 1;
        assert_eq!(entry.version, *version, "{}", entry.stream);
    }
}
