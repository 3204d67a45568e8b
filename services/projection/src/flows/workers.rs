//! Those who do what takes time: of the flows that this process has begun, and of those that are due and nobody's.

use std::{collections::BTreeSet, time::Duration};

use fedsx_runtime::telemetry;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{Engine, FlowError, commit::Written, queue::Queue, run::Run, think::Needs};
use crate::store::flows::{Claim, FlowRow};

/// Flows that are worked on side by side.
const ABREAST: usize = 64;
/// How often what is due is looked for, where nobody says that something is.
const TURN: Duration = Duration::from_secs(1);
/// How long is waited when the log or the store is away.
const AWAY: Duration = Duration::from_secs(1);
/// How often a flow is begun anew whose state somebody else has changed meanwhile.
const TRIES: u32 = 100;

impl Engine {
    /// Works on a flow until it is over, waits, or needs what is not done here.
    async fn work(&self, mut run: Run) -> Result<(), FlowError> {
        let mut tries = 0;
        self.types.refresh(std::slice::from_ref(&run.behaviour)).await?;
        loop {
            let needs = match self.stop.is_cancelled() {
                // Whoever comes next goes on from here.
                true => Needs::Rest,
                false => run.think(self),
            };
            let written = match needs {
                Needs::Effect(kind, step) if self.can(kind) => self.effect(&mut run, kind, &step).await?,
                Needs::Record => self.writer.write(&mut run).await?,
                Needs::Rest | Needs::Effect(..) => match self.writer.write(&mut run).await? {
                    Written::Yes => {
                        self.behind.put(run.row()).await;
                        return Ok(());
                    }
                    other => other,
                },
            };
            match written {
                Written::Yes => {
                    tries = 0;
                    continue;
                }
                // What others have made of it is what counts.
                Written::Moved => {
                    if let Some(now) = self.refold(&run.id).await? {
                        run = now;
                    }
                }
                Written::Lost | Written::Refused => {}
            }
            tries += 1;
            if tries > TRIES {
                run.stands("others change the same all the time".to_owned(), self.clock.now());
                self.writer.write(&mut run).await?;
                self.behind.put(run.row()).await;
                return Ok(());
            }
        }
    }
}

/// Works until the engine is told to stop; each flow then comes to its next transition, or, where what it does outside takes too
/// long for that, is given back as it is. `done` is cancelled at the end.
pub(crate) async fn run(engine: Engine, mut queue: mpsc::Receiver<Run>, done: CancellationToken) {
    let _done = done.drop_guard();
    let stop = engine.stop.clone();
    let mut at_work = JoinSet::new();
    let mut turns = interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut renewals = interval(engine.term.unsigned_abs() / 3);
    let kinds: Vec<&str> = engine.kinds.iter().map(|kind| kind.as_str()).collect();
    let mut away = false;
    loop {
        let has_room = at_work.len() < ABREAST;
        let failed = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = renewals.tick() => renew(&engine, &kinds).await.is_err(),
            Some(done) = at_work.join_next(), if !at_work.is_empty() => matches!(done, Ok(false)),
            Some(run) = queue.recv(), if has_room => {
                at_work.spawn(one(engine.clone(), run));
                false
            }
            () = due(&engine, &mut turns), if has_room => {
                let room = ABREAST - at_work.len();
                match claim(&engine, &kinds, room).await {
                    Ok(runs) => {
                        // There may be more than there was room for.
                        if runs.len() == room {
                            engine.queue.poke();
                        }
                        for run in runs {
                            at_work.spawn(one(engine.clone(), run));
                        }
                        false
                    }
                    Err(error) => {
                        tell(&error, away);
                        true
                    }
                }
            }
        };
        if failed && stop.run_until_cancelled(sleep(AWAY)).await.is_none() {
            break;
        }
        away = failed;
    }
    let all = async { while at_work.join_next().await.is_some() {} };
    if engine.hard.run_until_cancelled(all).await.is_none() {
        // As after a crash, whoever comes next does again what was not recorded.
        at_work.shutdown().await;
    }
    engine.behind.flush().await;
    let left = engine.store.release_flows(&engine.owner, None).await;
    let ended = engine.store.advertise(&engine.owner, &[], None).await;
    if let Err(error) = left.and(ended) {
        tracing::debug!(%error, "claims on flows are left to expire");
    }
}

async fn due(engine: &Engine, turns: &mut tokio::time::Interval) {
    tokio::select! {
        () = engine.queue.due.notified() => {}
        _ = turns.tick() => {}
    }
}

/// Claims what is due, and reads it.
async fn claim(engine: &Engine, kinds: &[&str], room: usize) -> Result<Vec<Run>, FlowError> {
    let claim = Claim {
        owner: &engine.owner,
        kinds,
        term: engine.term,
        limit: u32::try_from(room).unwrap_or(1),
    };
    let mut rows = engine.store.claim_flows(&claim).await?;
    rows.retain(|row| engine.queue.hold(&row.id));
    match read(engine, &rows).await {
        Ok(runs) => Ok(runs),
        Err(error) => {
            let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
            ids.iter().for_each(|id| engine.queue.free(id));
            engine.store.release_flows(&engine.owner, Some(&ids)).await?;
            Err(error)
        }
    }
}

async fn read(engine: &Engine, rows: &[FlowRow]) -> Result<Vec<Run>, FlowError> {
    let positions: BTreeSet<u64> = rows.iter().map(|row| row.position).collect();
    let triggers = engine.entries(&Vec::from_iter(positions)).await?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        match Run::of(engine, row, triggers.get(&row.position)).await {
            Ok(run) => runs.push(run),
            // Claimed until the term is over: it is not looked at all the time.
            Err(error) if error.is_of_the_flow() => {
                engine.queue.free(&row.id);
                tell(&error, false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(runs)
}

/// Frees a flow that is worked on, also where that panics.
struct Working<'e>(&'e Queue, &'e str);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.free(self.1);
    }
}

/// False: the log or the store was away.
async fn one(engine: Engine, run: Run) -> bool {
    let id = run.id.clone();
    let working = Working(&engine.queue, &id);
    let span = run.span("flow.work");
    let worked = engine.work(run).instrument(span.clone()).await;
    drop(working);
    let Err(error) = &worked else { return true };
    telemetry::fail(&span, "flow_waits", error.to_string());
    tell(error, false);
    // Views that stand still, and what cannot be read, keep only their own flows waiting: until the term is over.
    if error.is_of_the_flow() || matches!(error, FlowError::Views(_)) {
        return true;
    }
    let _ = engine.store.release_flows(&engine.owner, Some(&[&id])).await;
    false
}

fn tell(error: &FlowError, again: bool) {
    match error {
        FlowError::Views(refusal) => tracing::debug!(%refusal, "a flow waits for the views"),
        error if again => tracing::debug!(%error, "flows still wait"),
        error => tracing::warn!(%error, "a flow could not go on; trying again"),
    }
}

async fn renew(engine: &Engine, kinds: &[&str]) -> crate::store::Result<()> {
    engine
        .store
        .advertise(&engine.owner, kinds, Some(engine.term))
        .await?;
    let held = engine.queue.held();
    if held.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = held.iter().map(String::as_str).collect();
    engine.store.renew_flows(&engine.owner, &ids, engine.term).await?;
    Ok(())
}
