//! Views folded from the log, and what they set in motion.
//!
//! A view (`actors`, `followers`, `endorsements`, …) is a keyed fold over the log, divided into [`shard::SHARDS`] by its keys.
//! The process that holds a shard's lease folds it: rows and position are written in one transaction, fenced by the
//! lease's epoch, so that any number of processes share one store and nothing is applied twice. A reaction is a cursor
//! of the same kind, which publishes instead of folding.
//!
//! Enter by [`start`], which gives the gRPC service of `fedsx/v1/projection.proto`. An entry passes through
//!
//! * `source`: read from the log once for all shards held here, in batches; what a view listens to is parsed, and what it
//!   refers to looked up;
//! * `shard`: the worker holds leases, folds a batch, commits it;
//! * `views`: which rows the entry touches and what becomes of them, pure: data, or code where federation goes by it;
//! * [`store`]: one transaction;
//! * `progress`: whoever waits for it is told, also where another process holds the shard;
//! * `query`: rows for whoever asks, true for the position answered with them;
//! * `relations`: what follows from rows that are edges between objects;
//! * `react`: a Follow is answered;
//! * [`flows`]: behaviours run;
//! * `http`: views and flows as JSON.
//!
//! Which views there are follows from the log too: `roster` keeps to what the domain defines, builds what is new beside what
//! serves, and hands the name over.
//!
//! Beside that, a view as a whole: `snapshot` takes it out of a store and puts it back, `verify` folds the log again and
//! compares.
//!
//! To add a view, define a projection, or see `views`; to add a backend, implement [`store::Store`] in a folder beside `store/sqlite` and
//! `store/postgres` and run `store/conformance` over it.

use std::sync::Arc;

use axum::Router;
use fedsx_kernel::definition::EffectKind;
use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{flows_server::FlowsServer, log_client, projection_server::ProjectionServer};
use fedsx_runtime::{
    Context,
    transport::{Authorised, MAX_MESSAGE},
};
use jiff::SignedDuration;

mod backoff;
mod entry;
pub mod flows;
mod http;
mod measure;
mod progress;
mod query;
mod react;
mod readiness;
pub mod relations;
pub mod roster;
mod serving;
pub mod shard;
mod skips;
pub mod snapshot;
mod source;
pub mod store;
#[cfg(test)]
mod testing;
mod verify;
mod views;

use flows::{mail::Mailer, service::FlowService};
use measure::Measures;
use progress::Progress;
pub use query::ProjectionService;
use react::{
    answers::{self, Answers},
    hearing::Hearing,
    runner::Runner,
};
use readiness::Standing;
use relations::{MAX_GRAPH, Relations};
use roster::{Board, Part, keeper::Keeper};
use serving::Serving;
use shard::worker::Worker;
use skips::Decisions;
use snapshot::{Beginning, Snapshots, Vault};
use source::Source;
use store::{Store, StoreError};
use verify::Verifier;

/// A client of the log in the role of the projection.
pub type LogClient = log_client::LogClient<Authorised>;

/// Whose views these are, and how they are worked on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domain's public origin.
    pub origin: Origin,
    /// Who holds leases: unique among all processes of the domain, now and later.
    pub owner: String,
    /// How long a shard may stand when its worker dies, until another has taken it over.
    pub lease_term: SignedDuration,
    /// When snapshots are taken.
    pub snapshots: snapshot::Policy,
    /// What sends the mails of flows; none: this process sends none.
    pub mailer: Option<Mailer>,
    /// The kinds of effects that this process does in flows, of those that it can.
    pub effects: Vec<EffectKind>,
    /// How long a flow may stand whose worker dies, until another takes it up.
    pub flow_term: SignedDuration,
    /// How long flows that are over can be listed.
    pub flows_kept: SignedDuration,
}

impl Settings {
    /// Settings with a random owner, and a term of 15 seconds.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            owner: format!("{:016x}", rand::random::<u64>()),
            lease_term: SignedDuration::from_secs(15),
            snapshots: snapshot::Policy::default(),
            mailer: None,
            effects: EffectKind::all().collect(),
            flow_term: SignedDuration::from_secs(60),
            flows_kept: SignedDuration::from_hours(30 * 24),
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

/// The projection's faces, over the same views.
#[derive(Debug)]
pub struct Served {
    /// `fedsx/v1/projection.proto`.
    pub grpc: ProjectionServer<ProjectionService>,
    /// `fedsx/v1/flows.proto`.
    pub flows: FlowsServer<FlowService>,
    /// The same as JSON: `/views`, `/flows` and below. Who asks has been let in by a guard that tells the role.
    pub http: Router,
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
) -> Result<Served, StartError> {
    let (service, flows) = service(settings, store, log, &context).await?;
    let service = Arc::new(service);
    Ok(Served {
        http: http::router(Arc::clone(&service), flows.clone()),
        flows: FlowsServer::new(flows)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE),
        grpc: ProjectionServer::from_arc(service)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE),
    })
}

/// The services without their transport.
async fn service(
    settings: Settings,
    store: Arc<dyn Store>,
    log: LogClient,
    context: &Context,
) -> Result<(ProjectionService, FlowService), StartError> {
    let measures = Measures::register(&context.metrics)?;
    for reaction in [answers::NAME, flows::follower::NAME] {
        store.declare(&react::group(reaction).shards).await?;
    }
    let source = Source {
        client: log
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE),
        origin: settings.origin.clone(),
        // Others who can read the log need not wait longer for who cannot than for who died.
        patience: settings.lease_term.unsigned_abs(),
    };
    let progress = Progress::new(store.clone());
    let board = Board::default();
    let vault = Vault::new(source.client.clone());
    let snapshots = Snapshots {
        store: store.clone(),
        vault: vault.clone(),
        origin: settings.origin.clone(),
        board: board.clone(),
        owner: settings.owner.clone(),
        policy: settings.snapshots,
        clock: context.clock.clone(),
        turn: Arc::default(),
    };
    let (relay, relayed) = source::relay();
    let worker = {
        let (store, board, source) = (store.clone(), board.clone(), source.clone());
        let (owner, progress, measures) = (settings.owner.clone(), progress.clone(), measures.clone());
        move |part| Worker {
            store: store.clone(),
            part,
            board: board.clone(),
            source: source.clone(),
            relay: None,
            owner: owner.clone(),
            term: settings.lease_term,
            progress: progress.clone(),
            measures: measures.clone(),
            standing: None,
            decisions: Decisions::default(),
            beginning: Beginning::new(vault.clone()),
        }
    };
    let live = Worker {
        relay: Some(relay),
        standing: Some(Standing::new(context.readiness.clone())),
        ..worker(Part::Live)
    };
    let keeper = Keeper::new(store.clone(), source.clone(), board.clone(), worker);
    let serving = Serving {
        relations: Relations::new(store.clone(), MAX_GRAPH),
        store: store.clone(),
        board: board.clone(),
        progress,
    };
    let verifier = Verifier::new(store.clone(), source.clone(), board, context.shutdown.token());
    let answering = Runner {
        reaction: Answers {
            serving: serving.clone(),
            source: source.clone(),
            origin: settings.origin.clone(),
            measures: measures.clone(),
        },
        measures: measures.clone(),
        store: store.clone(),
        hearing: Hearing::new(source.clone(), relayed),
        source: source.clone(),
        owner: settings.owner.clone(),
        term: settings.lease_term,
    };
    let flows = flows::start(&settings, store, source, serving.clone(), measures, context).await;
    context.shutdown.spawn(keeper.run(context.shutdown.token()));
    context.shutdown.spawn(live.run(context.shutdown.token()));
    context.shutdown.spawn(answering.run(context.shutdown.token()));
    context
        .shutdown
        .spawn(snapshots.clone().run(context.shutdown.token()));
    Ok((ProjectionService::new(serving, verifier, snapshots), flows))
}
