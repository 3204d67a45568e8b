//! Flows: the runs of behaviours.
//!
//! An activity goes through
//!
//! * [`follower`]: a reaction, one process at a time. It hears of what behaviours are about, starts the flows (`trigger`), lets those
//!   go on that wait for an activity (`resume`), and keeps how flows stand where others have moved them;
//! * [`run`]: a flow in memory. What needs nothing from outside (branches, waits, checks, notifications) is decided there
//!   (`think`), so that a flow of nothing else is one entry;
//! * [`commit`]: its transition, appended at the version that it was decided at;
//! * [`workers`]: in every process, what takes time: they do [`effects`], each between two transitions, and pick up flows that
//!   are due;
//! * [`write_behind`]: how it stands then, written to the [`FlowStore`](crate::store::flows::FlowStore) many at a time.
//!
//! The log alone says what a flow is ([`refold`]); the store only finds it again. So whoever is killed loses nothing: a flow that
//! was under way is claimed by another when its claim expires, and goes on from its last entry.
//!
//! To add an effect: a kind in the kernel's `definition/behaviour/effect.rs`, and an arm in [`effects`].

use std::{collections::HashMap, sync::Arc};

use fedsx_kernel::definition::EffectKind;
use fedsx_runtime::{Context, clock::Clock};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::{
    Settings,
    measure::Measures,
    react::{ReactError, hearing::Hearing, runner::Runner},
    serving::Serving,
    source::{Source, SourceError},
    store::{Store, StoreError},
};

pub(crate) mod authority;
pub(crate) mod commit;
pub(crate) mod effects;
pub(crate) mod follower;
mod locks;
pub mod mail;
mod moves;
pub(crate) mod queue;
mod records;
pub(crate) mod refold;
mod resume;
mod retention;
mod row;
pub(crate) mod run;
pub(crate) mod service;
mod shown;
mod think;
mod trigger;
mod types;
pub(crate) mod workers;
pub(crate) mod write_behind;

use commit::Writer;
use follower::Follower;
use locks::Locks;
use mail::Mailer;
use queue::Queue;
use records::Records;
use service::FlowService;
use types::Types;
use write_behind::WriteBehind;

/// What flows of this process are run with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) source: Source,
    pub(crate) serving: Serving,
    pub(crate) clock: Arc<dyn Clock>,
    /// A name that no other process has, now or later.
    pub(crate) owner: Arc<str>,
    /// How long it may work on a flow without a word, until another takes it up.
    pub(crate) term: SignedDuration,
    /// The effects that are done here.
    pub(crate) kinds: Arc<[EffectKind]>,
    pub(crate) mailer: Option<Mailer>,
    pub(crate) records: Records,
    pub(crate) types: Types,
    pub(crate) writer: Writer,
    pub(crate) behind: WriteBehind,
    pub(crate) queue: Queue,
    pub(crate) locks: Locks,
    pub(crate) stop: CancellationToken,
    /// Whoever still waits for something outside gives it up.
    pub(crate) hard: CancellationToken,
}

impl Engine {
    pub(crate) fn can(&self, kind: EffectKind) -> bool {
        self.kinds.contains(&kind)
    }
}

/// Starts what runs flows. Its tasks end with `context.shutdown`.
pub(crate) async fn start(
    settings: &Settings,
    store: Arc<dyn Store>,
    source: Source,
    serving: Serving,
    measures: Measures,
    context: &Context,
) -> FlowService {
    let owner: Arc<str> = settings.owner.as_str().into();
    // What was held in an earlier life under this name need not expire first.
    if let Err(error) = store.release_flows(&owner, None).await {
        tracing::debug!(%error, "claims of before are left to expire");
    }
    let (behind, writes) = write_behind::write_behind(store.clone(), owner.clone());
    let (queue, runs) = queue::queue();
    let can = |kind: &EffectKind| *kind != EffectKind::Mail || settings.mailer.is_some();
    let engine = Engine {
        serving,
        clock: context.clock.clone(),
        owner,
        term: settings.flow_term,
        kinds: settings.effects.iter().copied().filter(can).collect(),
        mailer: settings.mailer.clone(),
        records: Records::new(store.clone()),
        types: Types::new(source.clone()),
        writer: Writer {
            client: source.client.clone(),
            origin: source.origin.clone(),
            clock: context.clock.clone(),
            measures: measures.clone(),
        },
        behind,
        queue,
        locks: Locks::default(),
        stop: context.shutdown.token(),
        hard: context.shutdown.hard(),
        store: store.clone(),
        source: source.clone(),
    };
    let follower = Follower::new(engine.clone());
    let following = Runner {
        hearing: Hearing::alone(source.clone(), follower.interest()),
        reaction: follower,
        measures,
        store: store.clone(),
        source,
        owner: settings.owner.clone(),
        term: settings.lease_term,
    };
    let stop = || context.shutdown.token();
    context.shutdown.spawn(following.run(stop()));
    // What the workers leave last is written, too.
    let done = CancellationToken::new();
    context.shutdown.spawn(writes.run(done.clone()));
    context.shutdown.spawn(workers::run(engine.clone(), runs, done));
    context.shutdown.spawn(retention::run(
        store,
        context.clock.clone(),
        settings.flows_kept,
        stop(),
    ));
    FlowService { engine }
}

/// A flow cannot go on just now; nothing is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlowError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The views are not as far as the flow's activity.
    #[error("the views: {0}")]
    Views(fedsx_runtime::code::Refusal),
    #[error("the behaviour {0} is not kept here")]
    NoBehaviour(String),
    #[error("the flow {flow} cannot be read: {problem}")]
    Unreadable { flow: String, problem: String },
}

impl FlowError {
    /// Whether one flow alone cannot go on, as far as this process can tell.
    pub(crate) fn is_of_the_flow(&self) -> bool {
        matches!(self, Self::NoBehaviour(_) | Self::Unreadable { .. })
    }
}

impl From<FlowError> for ReactError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Source(error) => Self::Source(error),
            FlowError::Store(error) => Self::Store(error),
            FlowError::Views(refusal) => Self::Views(refusal),
            other => Self::Row {
                view: "flows",
                key: String::new(),
                problem: other.to_string(),
            },
        }
    }
}

/// Values by the ids of flows.
type ByFlow<T> = HashMap<String, T>;
