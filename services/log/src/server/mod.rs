//! The contract's calls. Each is checked and parsed on the caller's own task; only what is sound waits for a batch.

use std::sync::Arc;

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{
    AppendManyRequest, AppendManyResponse, AppendRequest, AppendResponse, ChangeKvRequest, ChangeKvResponse,
    DescribeBlobRequest, DescribeBlobResponse, DescribeRequest, DescribeResponse, DropBlobRequest,
    DropBlobResponse, Entry, EvictPeerTypeRequest, EvictPeerTypeResponse, GetBlobRequest, GetBlobResponse,
    GetKvRequest, GetKvResponse, GetRequest, GetTypeRequest, KeepPeerTypeRequest, KeepPeerTypeResponse,
    KnownType, ListDefinitionsRequest, ListDefinitionsResponse, ListKvRequest, ListKvResponse,
    ListPeerTypesRequest, ListPeerTypesResponse, MissingTypesRequest, MissingTypesResponse, PublishRequest,
    PublishResponse, PutBlobRequest, PutBlobResponse, ReadRequest, ReadResponse, SubscribeRequest,
    SubscribeResponse, log_server::Log,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    shutdown::Shutdown,
    telemetry,
    token::{self, Role},
};
use futures::stream::BoxStream;
use serde_json::{Map, Value};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument as _, Span};

use crate::{
    Tuning,
    authority::{self, Action},
    blob::BlobStore,
    commit::Committer,
    head::News,
    keys::{Entropy, Keys},
    metrics::Metrics,
    peer_types::{MAX_FOR_ONE, PeerTypes},
    plan::{self, Answer},
    registry::{Current, checked::Checked, stages::Speaker},
    store::{Store, StoreError},
    subscribe,
};

mod append;
mod append_many;
mod blobs;
mod claim;
mod definitions;
mod kv;
mod meta;
mod publish;
mod read;
mod types;

/// Bytes of bodies that are parsed in less time than it takes to hand them to another thread and back.
const PARSED_AT_ONCE: usize = 32 << 10;

/// The log's gRPC service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogService {
    pub(crate) origin: Origin,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) registry: Current,
    pub(crate) types: PeerTypes,
    pub(crate) blobs: Option<BlobStore>,
    pub(crate) strict: bool,
    pub(crate) committer: Committer,
    pub(crate) news: News,
    pub(crate) tuning: Tuning,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
}

impl LogService {
    /// Submits a request, counting how it went.
    async fn write(
        &self,
        call: &str,
        request: Result<(plan::Request, usize), Refusal>,
    ) -> Result<Answer, Refusal> {
        let answer = async {
            let (request, bytes) = request?;
            self.committer.submit(request, bytes).await
        };
        self.counted(call, answer).await
    }

    /// What the schema stages are to say of an activity, once they run: peers' types that they ask for are looked up.
    async fn unchecked(
        &self,
        document: &Map<String, Value>,
        speaker: Speaker<'_>,
    ) -> Result<Checked, Refusal> {
        let registry = self.registry.get();
        let mut checked = Checked {
            strict: self.strict,
            ..Checked::default()
        };
        let roots = checked.stages(&registry).roots(document, speaker);
        if !roots.is_empty() {
            let chains = self.types.chains(&registry, roots, MAX_FOR_ONE).await;
            checked.fetched = Arc::new(chains.map_err(|error| error.refuse())?.fetched);
        }
        Ok(checked)
    }

    /// Catches up with what other replicas have defined.
    async fn follow(&self) -> Result<(), Refusal> {
        let refuse = |error: StoreError| error.refuse();
        let head = self.store.head().await.map_err(refuse)?;
        let follow = self.registry.follow(&*self.store, head.definition);
        follow.await.map_err(refuse)
    }

    /// Waits for the answer to a write, counting how it went.
    async fn counted(
        &self,
        call: &str,
        answer: impl Future<Output = Result<Answer, Refusal>>,
    ) -> Result<Answer, Refusal> {
        let timer = self
            .metrics
            .append_seconds
            .with_label_values(&[call])
            .start_timer();
        let answer = answer.await;
        timer.observe_duration();
        if let Err(refusal) = &answer {
            self.metrics
                .refusals
                .with_label_values(&[call, refusal.code.as_str()])
                .inc();
        }
        answer
    }
}

/// Parses a request: where it is large, on a thread that others do not wait for.
async fn parse<T: Send + 'static>(
    bytes: usize,
    parse: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    if bytes <= PARSED_AT_ONCE {
        return parse();
    }
    let span = Span::current();
    let parsed = tokio::task::spawn_blocking(move || span.in_scope(parse)).await;
    parsed.unwrap_or_else(|died| {
        tracing::error!("a thread that parses has died: {died}");
        Err(Refusal::new(Code::Internal, "the request could not be parsed"))
    })
}

/// The answer to a request that cannot be answered so: a fault of the plan.
fn unexpected(answer: &Answer) -> Refusal {
    tracing::error!(?answer, "the plan gave an answer that does not fit its request");
    Refusal::new(
        Code::Internal,
        "the log made an answer that does not fit the request",
    )
}

/// Makes the span of a call part of its caller's trace, and tells the span's own context.
fn trace<T>(span: &Span, request: &Request<T>) -> String {
    let caller = token::traceparent(request);
    telemetry::continue_trace(span, &caller);
    telemetry::traceparent(span).unwrap_or(caller)
}

/// Tells the span of a call why it was refused.
fn told<T>(span: &tracing::Span, answer: Result<T, Refusal>) -> Result<T, Refusal> {
    answer.inspect_err(|refusal| telemetry::refused(span, refusal))
}

fn kv_role<T>(request: &Request<T>, space: &str) -> Result<Role, Refusal> {
    let role = token::role(request)?;
    authority::check(role, Action::ReadKv { space })?;
    Ok(role)
}

#[tonic::async_trait]
impl Log for LogService {
    type SubscribeStream = ReceiverStream<Result<SubscribeResponse, Status>>;
    type GetBlobStream = BoxStream<'static, Result<GetBlobResponse, Status>>;

    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        token::role(&request)?;
        Ok(Response::new(read::describe(self).await?))
    }

    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let role = token::role(&request)?;
        let span = tracing::info_span!(
            "fedsx.v1.Log/Append",
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.service = "fedsx.v1.Log",
            rpc.method = "Append",
            fedsx.role = role.as_str(),
            fedsx.stream = %request.get_ref().stream,
            fedsx.position = tracing::field::Empty,
            activitypub.activity.id = tracing::field::Empty,
        );
        let traceparent = trace(&span, &request);
        let work = append::append(self, role, request.into_inner(), traceparent);
        Ok(Response::new(told(&span, work.instrument(span.clone()).await)?))
    }

    async fn append_many(
        &self,
        request: Request<AppendManyRequest>,
    ) -> Result<Response<AppendManyResponse>, Status> {
        let role = token::role(&request)?;
        let answer = append_many::append_many(self, role, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        let role = token::role(&request)?;
        let span = tracing::info_span!(
            "fedsx.v1.Log/Publish",
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.service = "fedsx.v1.Log",
            rpc.method = "Publish",
            fedsx.role = role.as_str(),
            activitypub.actor.id = tracing::field::Empty,
            activitypub.activity.type = tracing::field::Empty,
            fedsx.position = tracing::field::Empty,
            activitypub.activity.id = tracing::field::Empty,
        );
        let traceparent = trace(&span, &request);
        let work = publish::publish(self, role, request.into_inner(), traceparent);
        Ok(Response::new(told(&span, work.instrument(span.clone()).await)?))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Entry>, Status> {
        token::role(&request)?;
        Ok(Response::new(read::get(self, request.into_inner()).await?))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<ReadResponse>, Status> {
        token::role(&request)?;
        Ok(Response::new(read::read(self, request.into_inner()).await?))
    }

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        token::role(&request)?;
        Ok(Response::new(
            subscribe::subscribe(
                Arc::clone(&self.store),
                self.tuning.clone(),
                self.news.clone(),
                &self.shutdown,
                request.into_inner().after,
            )
            .await?,
        ))
    }

    async fn list_definitions(
        &self,
        request: Request<ListDefinitionsRequest>,
    ) -> Result<Response<ListDefinitionsResponse>, Status> {
        token::role(&request)?;
        Ok(Response::new(
            definitions::list(self, request.into_inner()).await?,
        ))
    }

    async fn get_type(&self, request: Request<GetTypeRequest>) -> Result<Response<KnownType>, Status> {
        token::role(&request)?;
        Ok(Response::new(types::get(self, request.into_inner()).await?))
    }

    async fn missing_types(
        &self,
        request: Request<MissingTypesRequest>,
    ) -> Result<Response<MissingTypesResponse>, Status> {
        token::role(&request)?;
        Ok(Response::new(types::missing(self, request.into_inner()).await?))
    }

    async fn keep_peer_type(
        &self,
        request: Request<KeepPeerTypeRequest>,
    ) -> Result<Response<KeepPeerTypeResponse>, Status> {
        let role = token::role(&request)?;
        Ok(Response::new(
            types::keep(self, role, request.into_inner()).await?,
        ))
    }

    async fn list_peer_types(
        &self,
        request: Request<ListPeerTypesRequest>,
    ) -> Result<Response<ListPeerTypesResponse>, Status> {
        token::role(&request)?;
        Ok(Response::new(types::list(self, request.into_inner()).await?))
    }

    async fn evict_peer_type(
        &self,
        request: Request<EvictPeerTypeRequest>,
    ) -> Result<Response<EvictPeerTypeResponse>, Status> {
        let role = token::role(&request)?;
        Ok(Response::new(
            types::evict(self, role, request.into_inner()).await?,
        ))
    }

    async fn put_blob(
        &self,
        request: Request<Streaming<PutBlobRequest>>,
    ) -> Result<Response<PutBlobResponse>, Status> {
        let role = token::role(&request)?;
        let span = tracing::info_span!(
            "fedsx.v1.Log/PutBlob",
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.service = "fedsx.v1.Log",
            rpc.method = "PutBlob",
            fedsx.role = role.as_str(),
        );
        telemetry::continue_trace(&span, &token::traceparent(&request));
        let work = blobs::put(self, role, request.into_inner());
        Ok(Response::new(work.instrument(span).await?))
    }

    async fn get_blob(
        &self,
        request: Request<GetBlobRequest>,
    ) -> Result<Response<Self::GetBlobStream>, Status> {
        let role = token::role(&request)?;
        Ok(Response::new(blobs::get(self, role, request.into_inner()).await?))
    }

    async fn describe_blob(
        &self,
        request: Request<DescribeBlobRequest>,
    ) -> Result<Response<DescribeBlobResponse>, Status> {
        let role = token::role(&request)?;
        Ok(Response::new(
            blobs::describe(self, role, request.into_inner()).await?,
        ))
    }

    async fn drop_blob(
        &self,
        request: Request<DropBlobRequest>,
    ) -> Result<Response<DropBlobResponse>, Status> {
        let role = token::role(&request)?;
        Ok(Response::new(
            blobs::drop(self, role, request.into_inner()).await?,
        ))
    }

    async fn get_kv(&self, request: Request<GetKvRequest>) -> Result<Response<GetKvResponse>, Status> {
        kv_role(&request, &request.get_ref().space)?;
        Ok(Response::new(kv::get(self, &request.into_inner()).await?))
    }

    async fn list_kv(&self, request: Request<ListKvRequest>) -> Result<Response<ListKvResponse>, Status> {
        kv_role(&request, &request.get_ref().space)?;
        Ok(Response::new(kv::list(self, request.into_inner()).await?))
    }

    async fn change_kv(
        &self,
        request: Request<ChangeKvRequest>,
    ) -> Result<Response<ChangeKvResponse>, Status> {
        let role = token::role(&request)?;
        Ok(Response::new(kv::change(self, role, request.into_inner()).await?))
    }
}
