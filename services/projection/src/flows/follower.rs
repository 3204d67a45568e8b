//! What the log's entries mean for flows, one process at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use fedsx_kernel::{flow::Transition, stream::Stream};
use fedsx_runtime::telemetry;

use super::{
    ByFlow, Engine, FlowError,
    commit::Written,
    refold::Told,
    row,
    run::Run,
    trigger::{self, InEffect, Verbs},
};
use crate::{
    entry::Entry,
    react::{ReactError, Reacted, Reaction},
    source::Interest,
    store::flows::{FlowRow, Holder},
};

/// The name of the reaction.
pub(crate) const NAME: &str = "reaction/flows";

/// Starts flows, and keeps to how they go.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(super) engine: Engine,
    pub(super) in_effect: InEffect,
    verbs: Verbs,
}

#[async_trait]
impl Reaction for Follower {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn begin(&mut self, _after: u64) -> Result<(), ReactError> {
        for kept in self.engine.store.behaviours().await? {
            if let Some(record) = self.engine.records.keep(&kept) {
                self.verbs.listen(&record);
                self.in_effect.add(kept.position, record);
            }
        }
        Ok(())
    }

    async fn react(&mut self, entries: &[&Entry], _floor: u64) -> Result<Reacted, ReactError> {
        let (heard, anew) = self.define(entries).await?;
        let acted = self.follow(heard).await? | anew.is_some();
        Ok(Reacted { acted, anew })
    }
}

impl Follower {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            in_effect: InEffect::default(),
            verbs: Verbs::default(),
        }
    }

    /// What it wants to hear of, which grows with what is defined.
    pub(crate) fn interest(&self) -> Interest {
        self.verbs.interest()
    }

    /// Learns what is defined. Where one behaviour listens to more than all before it, what comes after has to be read anew.
    async fn define<'e>(
        &mut self,
        entries: &'e [&'e Entry],
    ) -> Result<(&'e [&'e Entry], Option<u64>), FlowError> {
        for (place, entry) in entries.iter().enumerate() {
            let Some(kept) = trigger::defined(entry) else {
                continue;
            };
            self.engine
                .store
                .keep_behaviours(std::slice::from_ref(&kept))
                .await?;
            let Some(record) = self.engine.records.keep(&kept) else {
                continue;
            };
            let more = self.verbs.listen(&record);
            self.in_effect.add(kept.position, record);
            if more {
                let heard = entries.get(..=place).unwrap_or(entries);
                return Ok((heard, Some(entry.position)));
            }
        }
        Ok((entries, None))
    }

    /// True where anything was to be done.
    async fn follow(&self, entries: &[&Entry]) -> Result<bool, FlowError> {
        let (moved, said): (Vec<&Entry>, Vec<&Entry>) = entries
            .iter()
            .partition(|entry| matches!(entry.stream, Stream::Flow(_)));
        let moved = self.keep(&moved).await? | self.look_back(&moved).await?;
        let resumed = self.resume(&said).await?;
        let started = self.start(&said).await?;
        Ok(moved | resumed | started)
    }

    /// Keeps how flows stand that others have moved, or whose row is lost.
    async fn keep(&self, entries: &[&Entry]) -> Result<bool, FlowError> {
        let mut by_flow: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in entries {
            if let Stream::Flow(id) = &entry.stream {
                by_flow.entry(id).or_default().push(entry);
            }
        }
        let ids: Vec<&str> = by_flow.keys().copied().collect();
        let stored = match ids.is_empty() {
            true => return Ok(false),
            false => self.engine.store.versions(&ids).await?,
        };
        by_flow.retain(|id, entries| {
            let known = stored.get(*id).copied().unwrap_or_default();
            let known = known.max(self.engine.behind.version(id));
            entries.retain(|entry| entry.version > known);
            !entries.is_empty()
        });
        let ids: Vec<&str> = by_flow.keys().copied().collect();
        if ids.is_empty() {
            return Ok(false);
        }
        let rows = self.engine.store.flows(&ids).await?;
        let mut rows: ByFlow<FlowRow> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        let begun = by_flow
            .values()
            .filter_map(|entries| trigger_of(entries.first()?));
        let begun: BTreeSet<u64> = begun.collect();
        let triggers = self.engine.entries(&Vec::from_iter(begun)).await?;
        let mut kept = Vec::with_capacity(by_flow.len());
        for (id, entries) in by_flow {
            match self.told(id, rows.remove(id), &entries, &triggers).await {
                Ok(Some(row)) => kept.push(row),
                Ok(None) => {}
                // What cannot be read stands for itself; the others go on.
                Err(error) if error.is_of_the_flow() => {
                    tracing::warn!(flow = id, %error, "a flow is passed over");
                }
                Err(error) => return Err(error),
            }
        }
        self.engine.store.put_flows(&kept, Holder::Same).await?;
        self.engine.queue.poke();
        Ok(true)
    }

    /// A flow after these entries.
    async fn told(
        &self,
        id: &str,
        row: Option<FlowRow>,
        entries: &[&Entry],
        triggers: &HashMap<u64, Arc<Entry>>,
    ) -> Result<Option<FlowRow>, FlowError> {
        let first = entries.first().map_or(0, |entry| entry.version);
        let known = row.as_ref().map_or(0, |row| row.version);
        if first != known + 1 {
            return Ok(self.engine.refold(id).await?.map(|run| run.row()));
        }
        let mut told = match &row {
            Some(row) => Some(Told {
                behaviour: self.engine.records.record(&row.behaviour).await?,
                trigger: row.position,
                flow: row::state(row)?,
                version: row.version,
                last_position: row.last_position,
                started_at: row.started_at,
                moved_at: row.moved_at,
            }),
            None => None,
        };
        for entry in entries {
            let transition = Transition::of(&entry.activity).map_err(|error| FlowError::Unreadable {
                flow: id.to_owned(),
                problem: format!("its entry at {}: {error}", entry.position),
            })?;
            let mut now = match told {
                Some(told) => told,
                None => {
                    let record = self.engine.records.record(transition.behaviour.as_str()).await?;
                    Told::new(record, &transition)
                }
            };
            now.tell(&transition, entry.version, entry.position);
            told = Some(now);
        }
        let Some(told) = told else { return Ok(None) };
        let trigger = match triggers.get(&told.trigger) {
            Some(trigger) => trigger.clone(),
            None => self.engine.trigger(told.trigger, id).await?,
        };
        Ok(Some(told.into_run(&self.engine, id, trigger).row()))
    }

    /// Starts flows, each once, however often its activity is read.
    async fn start(&self, entries: &[&Entry]) -> Result<bool, FlowError> {
        let mut runs = Vec::new();
        for entry in entries {
            let mut trigger: Option<Arc<Entry>> = None;
            for record in self.in_effect.at(entry.position) {
                if trigger::starts(record, entry) {
                    let trigger = trigger.get_or_insert_with(|| Arc::new((*entry).clone()));
                    runs.push(Run::new(&self.engine, record.clone(), trigger.clone()));
                }
            }
        }
        if runs.is_empty() {
            return Ok(false);
        }
        self.engine.begin(runs).await?;
        Ok(true)
    }
}

/// The place of the activity that started the flow of this entry.
fn trigger_of(entry: &Entry) -> Option<u64> {
    Some(Transition::of(&entry.activity).ok()?.position)
}

impl Engine {
    /// Records the beginnings of flows, and has them go on. Those that had begun before are left alone.
    pub(super) async fn begin(&self, mut runs: Vec<Run>) -> Result<(), FlowError> {
        let behaviours: Vec<_> = runs.iter().map(|run| run.behaviour.clone()).collect();
        self.types.refresh(&behaviours).await?;
        for run in &mut runs {
            let span = run.span("flow.start");
            if let Some(trace) = telemetry::traceparent(&span) {
                run.trace = trace;
            }
            span.in_scope(|| run.think(self));
        }
        let written = self.writer.write_all(&mut runs).await?;
        let mut begun = Vec::with_capacity(runs.len());
        for (mut run, written) in runs.into_iter().zip(written) {
            let written = match written {
                // What says why is what is written.
                Written::Refused => self.writer.write(&mut run).await?,
                written => written,
            };
            if written == Written::Yes {
                begun.push(run);
            }
        }
        self.hand_over(begun).await
    }
}
