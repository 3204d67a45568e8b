//! The log: the only writer of a domain's append-only log, and the keeper of its small state.
//!
//! Everything that happens in a domain becomes an entry here: what its actors publish, what it accepted from others,
//! what its flows did, what its operators decided. The other services follow the log and never write anywhere else what
//! it must not lose.
//!
//! Enter by [`start`], which gives the gRPC service of `fedsx/v1/log.proto`. A write passes through
//!
//! * [`server`]: checked against the caller's role ([`authority`]) and the kernel, on the caller's own task;
//! * [`commit`]: gathered with what comes at the same time into one batch;
//! * [`plan`]: what becomes of each request of the batch, a pure function of the requests and the store's facts;
//! * [`registry`]: the schema stages, by what the domain's own definitions say, and peers' types ([`peer_types`]);
//! * [`seal`]: drafts get `published`, `prev`, CID, `id` and proof with their actor's key ([`keys`]);
//! * [`store`]: one transaction.
//!
//! The log is in a SQLite file of one process ([`store::sqlite`]), or in a PostgreSQL database that several replicas share
//! ([`store::postgres`]). Replicas know nothing of each other: the store orders their batches, and tells each, if only by
//! being looked at, how far the others have come.
//!
//! Blobs, which entries name and the log does not hold, lie in a store of their own ([`blob`]).
//!
//! To add a backend, implement [`store::Store`] in a folder beside `store/sqlite` and call the macro of
//! `store/conformance` for it. To add a call, add it to the contract and a file of its name to `server/`.

use std::{sync::Arc, time::Duration};

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::log_server::LogServer;
use fedsx_runtime::{Context, keyring::MasterKey, transport::MAX_MESSAGE};

pub mod authority;
pub mod blob;
pub mod commit;
mod head;
pub mod keys;
mod limits;
mod metrics;
pub mod peer_types;
pub mod plan;
mod refusal;
pub mod registry;
pub mod seal;
pub mod server;
pub mod store;
mod subscribe;
mod tail;

use blob::BlobStore;
use commit::{Committer, Writer};
use head::Sign;
use keys::{Entropy, Keys, SystemEntropy};
use peer_types::PeerTypes;
use registry::Current;
pub use server::LogService;
use store::{KEY_SPACE, KvQuery, Store, StoreError};

/// Who the log belongs to, and how it works.
#[derive(Debug, Clone)]
pub struct Settings {
    pub origin: Origin,
    /// Opens the signing keys of the domain's actors.
    pub master_key: Arc<MasterKey>,
    /// Draws the signing keys of new actors.
    pub entropy: Arc<dyn Entropy>,
    pub tuning: Tuning,
    /// Whether an object whose type cannot be resolved is refused.
    pub strict_object_schema: bool,
    /// Where blobs lie; none: calls about blobs are refused.
    pub blobs: Option<BlobStore>,
}

impl Settings {
    /// Settings with the machine's entropy and the default tuning.
    #[must_use]
    pub fn new(origin: Origin, master_key: Arc<MasterKey>) -> Self {
        Self {
            origin,
            master_key,
            entropy: Arc::new(SystemEntropy),
            tuning: Tuning::default(),
            strict_object_schema: false,
            blobs: None,
        }
    }
}

/// How much is done at once.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// Requests that may wait for a batch; further callers wait for a place.
    pub queue: usize,
    /// Bytes of bodies and values that may wait for a batch.
    pub queue_bytes: u32,
    /// Requests in one batch.
    pub batch_requests: usize,
    /// Bytes of bodies and values in one batch, unless one request alone has more.
    pub batch_bytes: u64,
    /// Entries in one message of a subscription.
    pub subscribe_entries: u32,
    /// Bytes of bodies in one message of a subscription, unless one entry alone has more.
    pub subscribe_bytes: u64,
    /// How often the store is looked at for entries, and for health, that nobody told of.
    pub poll: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            queue: 1024,
            queue_bytes: 64 << 20,
            batch_requests: 512,
            batch_bytes: 8 << 20,
            subscribe_entries: 256,
            subscribe_bytes: 4 << 20,
            poll: Duration::from_secs(1),
        }
    }
}

/// The log cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log's metrics are registered already")]
    Metrics(#[from] prometheus::Error),
    #[error("no thread to write with: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the log belongs to another origin than {origin}: it has a key of {actor}")]
    Origin { origin: Origin, actor: String },
    #[error("the master key does not open the key of {actor}: it is another domain's")]
    MasterKey { actor: String },
}

/// Starts the log on a store. Its tasks end with `context.shutdown`; what is in the queue by then is still written.
///
/// # Errors
/// [`StartError`]; a store of another origin or another master key included.
pub async fn start(
    settings: Settings,
    store: Arc<dyn Store>,
    context: Context,
) -> Result<LogServer<LogService>, StartError> {
    let service = service(settings, store, &context).await?;
    Ok(LogServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE))
}

/// The service without its transport.
async fn service(
    settings: Settings,
    store: Arc<dyn Store>,
    context: &Context,
) -> Result<LogService, StartError> {
    let keys = Arc::new(Keys::new(settings.master_key));
    check_owner(&settings.origin, &keys, &*store).await?;
    let position = store.head().await?.position;
    let registry = Current::open(&*store).await?;
    let metrics = metrics::Metrics::register(&context.metrics)?;
    let sign = Sign::new(position, metrics.clone(), context.readiness.clone());
    let writer = Writer {
        origin: settings.origin.clone(),
        store: Arc::clone(&store),
        keys: Arc::clone(&keys),
        registry: registry.clone(),
    };
    let stop = context.shutdown.token();
    let (committer, task) = Committer::new(
        writer,
        &settings.tuning,
        sign.clone(),
        metrics.clone(),
        stop.clone(),
    );
    let news = sign.news();
    context.shutdown.spawn(commit::apart(task)?);
    context.shutdown.spawn(head::look(
        Arc::clone(&store),
        sign,
        registry.clone(),
        settings.tuning.poll,
        stop,
    ));
    if let Some(blobs) = &settings.blobs {
        let stop = context.shutdown.token();
        context
            .shutdown
            .spawn(blob::sweep(blobs.clone(), Arc::clone(&context.clock), stop));
    }
    let types = PeerTypes::new(Arc::clone(&store), Arc::clone(&context.clock), metrics.clone());
    Ok(LogService {
        origin: settings.origin,
        store,
        keys,
        entropy: settings.entropy,
        registry,
        types,
        blobs: settings.blobs,
        strict: settings.strict_object_schema,
        committer,
        news,
        tuning: settings.tuning,
        metrics,
        shutdown: context.shutdown.clone(),
    })
}

/// A store that was filled under another origin or master key would be continued with ids or keys that nobody can use.
async fn check_owner(origin: &Origin, keys: &Keys, store: &dyn Store) -> Result<(), StartError> {
    let first = KvQuery {
        space: KEY_SPACE.to_owned(),
        prefix: String::new(),
        after: String::new(),
        limit: 1,
        max_bytes: 1,
    };
    for item in store.kv_list(&first).await? {
        if !origin.owns(&item.key) {
            return Err(StartError::Origin {
                origin: origin.clone(),
                actor: item.key,
            });
        }
        if keys.open(&item.key, &item.value).is_err() {
            return Err(StartError::MasterKey { actor: item.key });
        }
    }
    Ok(())
}
