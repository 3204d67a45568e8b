//! Views folded from the log, and what they set in motion.
//!
//! A view (`actors`, `followers`, `objects`, …) is a keyed fold over the log, divided into [`shard::SHARDS`] by its keys.
//! The process that holds a shard's lease folds it: rows and position are written in one transaction, fenced by the
//! lease's epoch, so that any number of processes share one store and nothing is applied twice. A reaction is a cursor
//! of the same kind, which publishes instead of folding.
//!
//! Enter by [`start`], which gives the gRPC service of `fedsx/v1/projection.proto`. An entry passes through
//!
//! * `source`: read from the log once for all shards held here, in batches; what a view listens to is parsed, and what it
//!   refers to looked up;
//! * `shard`: the worker holds leases, folds a batch, commits it;
//! * `views`: which rows the entry touches and what becomes of them, pure;
//! * [`store`]: one transaction;
//! * `progress`: whoever waits for it is told, also where another process holds the shard;
//! * `query`: rows for whoever asks, true for the position answered with them;
//! * `react`: a Follow is answered.
//!
//! To add a view, see `views`; to add a backend, implement [`store::Store`] in a folder beside `store/sqlite` and
//! `store/postgres` and run `store/conformance` over it.

use std::sync::Arc;

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{log_client, projection_server::ProjectionServer};
use fedsx_runtime::{
    Context,
    transport::{Authorised, MAX_MESSAGE},
};
use jiff::SignedDuration;

mod backoff;
mod entry;
mod measure;
mod progress;
mod query;
mod react;
mod readiness;
pub mod shard;
mod skips;
mod source;
pub mod store;
#[cfg(test)]
mod testing;
mod views;

use measure::Measures;
use progress::Progress;
pub use query::ProjectionService;
use react::{answers::Answers, hearing::Hearing, runner::Runner};
use readiness::Standing;
use shard::{ShardId, worker::Worker};
use skips::Decisions;
use source::Source;
use store::{Group, Store, StoreError};

/// A client of the log in the role of the projection.
pub type LogClient = log_client::LogClient<Authorised>;

/// The name of the group whose workers share the views' shards.
const VIEWS: &str = "views";

/// Whose views these are, and how they are worked on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domain's public origin.
    pub origin: Origin,
    /// Who holds leases: unique among all processes of the domain, now and later.
    pub owner: String,
    /// How long a shard may stand when its worker dies, until another has taken it over.
    pub lease_term: SignedDuration,
}

impl Settings {
    /// Settings with a random owner, and a term of 15 seconds.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            owner: format!("{:016x}", rand::random::<u64>()),
            lease_term: SignedDuration::from_secs(15),
        }
    }
}

/// The projection cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the projection's metrics are registered already")]
    Metrics(#[from] prometheus::Error),
}

/// Starts the projection on a store. Its tasks end with `context.shutdown`. It is ready (part `views`) once the views have
/// reached the head that the log has now; meanwhile queries are answered as far as the views are.
///
/// # Errors
/// [`StartError`]
pub async fn start(
    settings: Settings,
    store: Arc<dyn Store>,
    log: LogClient,
    context: Context,
) -> Result<ProjectionServer<ProjectionService>, StartError> {
    let service = service(settings, store, log, &context).await?;
    Ok(ProjectionServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE))
}

/// The service without its transport.
async fn service(
    settings: Settings,
    store: Arc<dyn Store>,
    log: LogClient,
    context: &Context,
) -> Result<ProjectionService, StartError> {
    let measures = Measures::register(&context.metrics)?;
    let views = views::built_in(&settings.origin);
    let names: Vec<String> = views.iter().map(|view| view.name().to_owned()).collect();
    let group = Group {
        name: VIEWS.to_owned(),
        shards: names.iter().flat_map(|view| ShardId::all(view)).collect(),
    };
    let declared = [group.shards.clone(), react::group().shards].concat();
    store.declare(&declared).await?;
    let source = Source {
        client: log
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE),
        origin: settings.origin.clone(),
        // Others who can read the log need not wait longer for who cannot than for who died.
        patience: settings.lease_term.unsigned_abs(),
    };
    let progress = Progress::new(store.clone());
    let (relay, relayed) = source::relay();
    let worker = Worker {
        store: store.clone(),
        views: views.into(),
        source: source.clone(),
        relay,
        group,
        owner: settings.owner.clone(),
        term: settings.lease_term,
        progress: progress.clone(),
        measures: measures.clone(),
        standing: Standing::new(context.readiness.clone()),
        decisions: Decisions::default(),
    };
    let runner = Runner {
        answers: Answers {
            store: store.clone(),
            source: source.clone(),
            origin: settings.origin,
            progress: progress.clone(),
            measures,
        },
        store: store.clone(),
        hearing: Hearing::new(source.clone(), relayed),
        source,
        owner: settings.owner,
        term: settings.lease_term,
    };
    context.shutdown.spawn(worker.run(context.shutdown.token()));
    context.shutdown.spawn(runner.run(context.shutdown.token()));
    Ok(ProjectionService::new(store, progress, names))
}
