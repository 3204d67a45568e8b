//! A log over a vector, with the faults that tests ask for. It seals drafts as the real one does, with one key for all.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use fedsx_kernel::{
    activity::Activity,
    actor,
    blob::BlobCid,
    definition::{Kind, ProjectionRecord},
    draft::{Draft, Seal},
    key::SigningKey,
};
use fedsx_proto::v1::{
    AppendManyRequest, AppendManyResponse, AppendRequest, AppendResponse, Appended, ChangeKvRequest,
    ChangeKvResponse, Definition, DescribeBlobRequest, DescribeBlobResponse, DescribeRequest,
    DescribeResponse, DropBlobRequest, DropBlobResponse, Duplicate, Entry, EvictPeerTypeRequest,
    EvictPeerTypeResponse, GetBlobRequest, GetBlobResponse, GetKvRequest, GetKvResponse, GetRequest,
    GetTypeRequest, KeepPeerTypeRequest, KeepPeerTypeResponse, KnownType, KvConflict, KvItem,
    ListDefinitionsRequest, ListDefinitionsResponse, ListKvRequest, ListKvResponse, ListPeerTypesRequest,
    ListPeerTypesResponse, MissingTypesRequest, MissingTypesResponse, PublishRequest, PublishResponse,
    PutBlobRequest, PutBlobResponse, ReadRequest, ReadResponse, SubscribeRequest, SubscribeResponse,
    get_request::By,
    log_client::LogClient as Client,
    log_server::{Log, LogServer},
    publish_response::Outcome,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::Credentials,
    transport,
};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming, service::interceptor::InterceptedService};

use super::{AT, BASE, Story, complete, entry, native_records, note, origin, projection};
use crate::{LogClient, source::Source};

/// Nothing in a test takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Entries of one message.
const MESSAGE: usize = 7;

/// The log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TestLog {
    state: Arc<Mutex<State>>,
    head: watch::Sender<usize>,
    /// How often all subscriptions were ended.
    ends: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    /// The projections in effect, each since an entry, in order.
    defined: Vec<(u64, ProjectionRecord)>,
    keys: HashMap<(String, String), u64>,
    published: Vec<PublishRequest>,
    refuses: Option<Code>,
    away: bool,
    subscriptions: u64,
    kv: BTreeMap<(String, String), KvItem>,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Blobs that were put.
    puts: u64,
}

impl TestLog {
    pub(crate) fn new(story: &Story) -> Self {
        let state = State {
            entries: story.entries.clone(),
            defined: native_records().into_iter().map(|record| (0, record)).collect(),
            ..State::default()
        };
        Self {
            head: watch::Sender::new(state.entries.len()),
            ends: watch::Sender::new(0),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Serves the log in memory until the test's runtime ends.
    pub(crate) fn serve(&self) -> LogClient {
        let (memory, incoming) = transport::memory();
        let server = tonic::transport::Server::builder().add_service(LogServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        Client::new(InterceptedService::new(
            memory.channel(),
            Credentials::new("test"),
        ))
    }

    /// The log as the service reads it, away for as long as a test likes.
    pub(crate) fn source(&self) -> Source {
        Source {
            client: self.serve(),
            origin: origin(),
            patience: PATIENCE,
        }
    }

    /// Appends what an actor of a peer says, or one of ours has said.
    pub(crate) fn append(&self, stream: &str, actor: &str, said: Value) -> Activity {
        let document = complete(actor, said);
        self.push(|position| entry(position, stream, &document));
        Activity::parse(document.to_string().as_bytes()).unwrap()
    }

    /// Appends whatever the entry is made to be.
    pub(crate) fn push(&self, make: impl FnOnce(u64) -> Entry) -> u64 {
        let position = self.lock().push(make);
        self.tell();
        position
    }

    /// Appends what no fold can read.
    pub(crate) fn poison(&self) -> u64 {
        self.push(|position| Entry {
            stream: "attic".to_owned(),
            ..entry(position, "domain", &note())
        })
    }

    /// Defines a projection, as the base does.
    pub(crate) fn define(&self, record: Value) -> u64 {
        let record = projection(record);
        let object: Value = serde_json::from_slice(record.canonical()).unwrap();
        let document = complete(BASE, json!({"type": Kind::Projection.verb(), "object": object}));
        let position = {
            let mut state = self.lock();
            let position = state.push(|position| entry(position, &format!("outbox/{BASE}"), &document));
            state.defined.retain(|(_, known)| known.name() != record.name());
            state.defined.push((position, record));
            position
        };
        self.tell();
        position
    }

    pub(crate) fn head(&self) -> u64 {
        u64::try_from(self.lock().entries.len()).unwrap()
    }

    /// Refuses to publish, or no longer.
    pub(crate) fn refuse(&self, code: Option<Code>) {
        self.lock().refuses = code;
    }

    /// Ends every subscription, as a log that stops does.
    pub(crate) fn end_subscriptions(&self) {
        self.ends.send_modify(|ends| *ends += 1);
    }

    /// Neither describes itself nor takes subscriptions, or does so again.
    pub(crate) fn be_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// Takes the blobs away that a test wants gone, and tells how many are left.
    pub(crate) fn lose_blobs(&self, lost: impl Fn(&[u8]) -> bool) -> usize {
        let mut state = self.lock();
        state.blobs.retain(|_, bytes| !lost(bytes));
        state.blobs.len()
    }

    /// Goes back to the first entries, as a log that was set back from a backup.
    pub(crate) fn cut(&self, length: usize) {
        self.lock().entries.truncate(length);
        self.tell();
    }

    /// How many blobs were put.
    pub(crate) fn puts(&self) -> u64 {
        self.lock().puts
    }

    /// Subscriptions that were taken.
    pub(crate) fn subscriptions(&self) -> u64 {
        self.lock().subscriptions
    }

    fn answers(&self) -> Result<(), Refusal> {
        match self.lock().away {
            true => Err(Refusal::new(Code::Unavailable, "the test's log is away")),
            false => Ok(()),
        }
    }

    /// Forgets every idempotency key.
    pub(crate) fn forget_keys(&self) {
        self.lock().keys.clear();
    }

    /// What was published, duplicates included.
    pub(crate) fn published(&self) -> Vec<PublishRequest> {
        self.lock().published.clone()
    }

    /// Activities in the outbox of an actor.
    pub(crate) fn outbox(&self, actor: &str) -> Vec<Activity> {
        let stream = format!("outbox/{actor}");
        let state = self.lock();
        let entries = state.entries.iter().filter(|entry| entry.stream == stream);
        entries
            .map(|entry| Activity::parse(&entry.body).unwrap())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn tell(&self) {
        let length = self.lock().entries.len();
        self.head.send_replace(length);
    }
}

impl State {
    fn blob(&self, cid: &str) -> Result<Vec<u8>, Refusal> {
        let found = self.blobs.get(cid).cloned();
        found.ok_or_else(|| Refusal::new(Code::NotFound, "no such blob"))
    }

    fn push(&mut self, make: impl FnOnce(u64) -> Entry) -> u64 {
        let position = u64::try_from(self.entries.len()).unwrap() + 1;
        self.entries.push(make(position));
        position
    }

    fn publish(&mut self, request: PublishRequest) -> Result<Outcome, Refusal> {
        if let Some(code) = self.refuses {
            return Err(Refusal::new(code, "the test says no"));
        }
        self.published.push(request.clone());
        let key = (request.actor.clone(), request.idempotency_key.clone());
        if let Some(position) = self.keys.get(&key) {
            return Ok(Outcome::Duplicate(Duplicate {
                position: *position,
                ..Duplicate::default()
            }));
        }
        let signing = SigningKey::from_seed(&[7; 32]);
        let sealed = Draft::parse(&request.draft).unwrap().seal(&Seal {
            origin: &origin(),
            actor: &request.actor,
            published: AT,
            prev: None,
            key_id: &actor::key_id(&request.actor),
            key: &signing,
        });
        let document: Value = serde_json::from_slice(&sealed.unwrap().body).unwrap();
        let stream = format!("outbox/{}", request.actor);
        let position = self.push(|position| entry(position, &stream, &document));
        self.keys.insert(key, position);
        Ok(Outcome::Appended(Appended {
            position,
            ..Appended::default()
        }))
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Log for TestLog {
    async fn describe(&self, _: Request<DescribeRequest>) -> Answer<DescribeResponse> {
        self.answers()?;
        Ok(Response::new(DescribeResponse {
            origin: origin().to_string(),
            head: self.head(),
        }))
    }

    async fn publish(&self, request: Request<PublishRequest>) -> Answer<PublishResponse> {
        let outcome = self.lock().publish(request.into_inner())?;
        self.tell();
        Ok(Response::new(PublishResponse {
            outcome: Some(outcome),
        }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Answer<Entry> {
        let Some(By::ActivityId(id)) = request.into_inner().by else {
            return Err(Status::unimplemented("tests ask by id"));
        };
        let state = self.lock();
        let found = state.entries.iter().find(|entry| entry.activity_id == id);
        let entry = found.ok_or_else(|| Refusal::new(Code::NotFound, "no such entry"))?;
        Ok(Response::new(entry.clone()))
    }

    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<SubscribeResponse, Status>> + Send>>;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Answer<Self::SubscribeStream> {
        self.answers()?;
        self.lock().subscriptions += 1;
        let cursor = usize::try_from(request.into_inner().after).unwrap();
        let (log, watched) = (self.clone(), self.head.subscribe());
        let mut ends = self.ends.subscribe();
        ends.mark_unchanged();
        let messages = stream::unfold((log, watched, cursor), |(log, mut watched, cursor)| async move {
            watched.wait_for(|head| *head > cursor).await.ok()?;
            let entries: Vec<Entry> = log
                .lock()
                .entries
                .iter()
                .skip(cursor)
                .take(MESSAGE)
                .cloned()
                .collect();
            let next = cursor + entries.len();
            let message = SubscribeResponse {
                entries,
                head: log.head(),
            };
            Some((Ok(message), (log, watched, next)))
        });
        let end = async move { ends.changed().await.is_ok() };
        Ok(Response::new(Box::pin(messages.take_until(Box::pin(end)))))
    }

    async fn append(&self, _: Request<AppendRequest>) -> Answer<AppendResponse> {
        Err(Status::unimplemented("no view appends"))
    }

    async fn append_many(&self, _: Request<AppendManyRequest>) -> Answer<AppendManyResponse> {
        Err(Status::unimplemented("no view appends"))
    }

    /// Of one stream, as decisions are read.
    async fn read(&self, request: Request<ReadRequest>) -> Answer<ReadResponse> {
        let request = request.into_inner();
        let state = self.lock();
        let wanted = |entry: &&Entry| entry.stream == request.stream && entry.position > request.from;
        let entries = state.entries.iter().filter(wanted);
        Ok(Response::new(ReadResponse {
            entries: entries.take(2).cloned().collect(),
            ..ReadResponse::default()
        }))
    }

    async fn list_definitions(
        &self,
        request: Request<ListDefinitionsRequest>,
    ) -> Answer<ListDefinitionsResponse> {
        self.answers()?;
        let state = self.lock();
        let position = state.defined.last().map_or(0, |(since, _)| *since);
        let definitions = state.defined.iter().map(|(since, record)| Definition {
            kind: Kind::Projection.to_string(),
            name: record.name().to_owned(),
            cid: record.cid().to_string(),
            body: record.canonical().to_vec().into(),
            position: *since,
        });
        let known = request.into_inner().known_position == Some(position);
        Ok(Response::new(ListDefinitionsResponse {
            definitions: definitions.filter(|_| !known).collect(),
            position,
            ..ListDefinitionsResponse::default()
        }))
    }

    async fn get_type(&self, _: Request<GetTypeRequest>) -> Answer<KnownType> {
        Err(Status::unimplemented("no view asks for types"))
    }

    async fn missing_types(&self, _: Request<MissingTypesRequest>) -> Answer<MissingTypesResponse> {
        Err(Status::unimplemented("no view asks for types"))
    }

    async fn keep_peer_type(&self, _: Request<KeepPeerTypeRequest>) -> Answer<KeepPeerTypeResponse> {
        Err(Status::unimplemented("no view asks for types"))
    }

    async fn list_peer_types(&self, _: Request<ListPeerTypesRequest>) -> Answer<ListPeerTypesResponse> {
        Err(Status::unimplemented("no view asks for types"))
    }

    async fn evict_peer_type(&self, _: Request<EvictPeerTypeRequest>) -> Answer<EvictPeerTypeResponse> {
        Err(Status::unimplemented("no view asks for types"))
    }

    async fn get_kv(&self, request: Request<GetKvRequest>) -> Answer<GetKvResponse> {
        let request = request.into_inner();
        let item = self.lock().kv.get(&(request.space, request.key)).cloned();
        Ok(Response::new(GetKvResponse { item }))
    }

    async fn list_kv(&self, request: Request<ListKvRequest>) -> Answer<ListKvResponse> {
        let request = request.into_inner();
        let state = self.lock();
        let wanted = |item: &&KvItem| item.space == request.space && item.key > request.after;
        let items = state.kv.values().filter(wanted).cloned().collect();
        Ok(Response::new(ListKvResponse { items }))
    }

    /// One change at a time, compared and set.
    async fn change_kv(&self, request: Request<ChangeKvRequest>) -> Answer<ChangeKvResponse> {
        let change = request.into_inner().changes.pop().unwrap();
        let key = (change.space.clone(), change.key.clone());
        let mut state = self.lock();
        let version = state.kv.get(&key).map_or(0, |item| item.version);
        if change.expected_version != Some(version) {
            let conflict = Some(KvConflict::default());
            return Ok(Response::new(ChangeKvResponse { conflict }));
        }
        let item = |value| KvItem {
            space: change.space,
            key: change.key,
            version: version + 1,
            value,
        };
        match change.value.map(item) {
            Some(item) => state.kv.insert(key, item),
            None => state.kv.remove(&key),
        };
        Ok(Response::new(ChangeKvResponse::default()))
    }

    async fn put_blob(&self, request: Request<Streaming<PutBlobRequest>>) -> Answer<PutBlobResponse> {
        let pieces: Vec<PutBlobRequest> = request.into_inner().try_collect().await?;
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.data.to_vec()).collect();
        let (cid, size) = (BlobCid::of(&bytes).to_string(), bytes.len() as u64);
        let mut state = self.lock();
        state.puts += 1;
        let existed = state.blobs.insert(cid.clone(), bytes).is_some();
        Ok(Response::new(PutBlobResponse { cid, size, existed }))
    }

    type GetBlobStream = Pin<Box<dyn Stream<Item = Result<GetBlobResponse, Status>> + Send>>;

    async fn get_blob(&self, request: Request<GetBlobRequest>) -> Answer<Self::GetBlobStream> {
        let bytes = self.lock().blob(&request.into_inner().cid)?;
        let piece = |piece: &[u8]| {
            Ok(GetBlobResponse {
                data: piece.to_vec().into(),
            })
        };
        let pieces: Vec<_> = bytes.chunks(1000).map(piece).collect();
        Ok(Response::new(Box::pin(stream::iter(pieces))))
    }

    async fn describe_blob(&self, request: Request<DescribeBlobRequest>) -> Answer<DescribeBlobResponse> {
        let size = self.lock().blob(&request.into_inner().cid)?.len() as u64;
        Ok(Response::new(DescribeBlobResponse { size }))
    }

    async fn drop_blob(&self, request: Request<DropBlobRequest>) -> Answer<DropBlobResponse> {
        self.lock().blobs.remove(&request.into_inner().cid);
        Ok(Response::new(DropBlobResponse {}))
    }
}
