//! What the log says of a flow.

use std::{collections::HashMap, sync::Arc};

use fedsx_kernel::{
    activity::Activity,
    definition::BehaviourRecord,
    flow::{Flow, Transition},
    stream::Stream,
};
use fedsx_proto::v1::{self, ReadRequest};
use fedsx_runtime::code::Code;
use jiff::Timestamp;

use super::{Engine, FlowError, run::Run};
use crate::{
    entry::{Entry, Parsed},
    source::{self, SourceError},
};

/// Entries of a page.
const PAGE: u32 = 1000;

/// A flow as its entries tell, as far as they were told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) behaviour: Arc<BehaviourRecord>,
    /// The position of the activity that started it.
    pub(super) trigger: u64,
    pub(super) flow: Flow,
    pub(super) version: u64,
    pub(super) last_position: u64,
    pub(super) started_at: Timestamp,
    pub(super) moved_at: Timestamp,
}

impl Told {
    /// Before the first transition, which this is.
    pub(super) fn new(behaviour: Arc<BehaviourRecord>, first: &Transition) -> Self {
        Self {
            behaviour,
            trigger: first.position,
            flow: Flow::default(),
            version: 0,
            last_position: 0,
            started_at: first.at,
            moved_at: first.at,
        }
    }

    /// The transition at this version and position. What does not fit came too late, and changes nothing.
    pub(super) fn tell(&mut self, transition: &Transition, version: u64, position: u64) {
        for event in &transition.events {
            if let Err(misfit) = self.flow.apply(&self.behaviour, event) {
                tracing::debug!(flow = transition.flow, version, %misfit, "an event is passed over");
            }
        }
        (self.version, self.last_position, self.moved_at) = (version, position, transition.at);
    }

    pub(super) fn into_run(self, engine: &Engine, id: &str, trigger: Arc<Entry>) -> Run {
        let at = (self.version, self.last_position, self.started_at, self.moved_at);
        Run::at(engine, id.to_owned(), self.behaviour, trigger, self.flow, at)
    }
}

impl Engine {
    /// The flow as the log has it now; none: it has none of this id.
    pub(crate) async fn refold(&self, id: &str) -> Result<Option<Run>, FlowError> {
        let mut told: Option<Told> = None;
        for (version, position, transition) in self.transitions(id, 0).await? {
            let mut now = match told {
                Some(told) => told,
                None => Told::new(
                    self.records.record(transition.behaviour.as_str()).await?,
                    &transition,
                ),
            };
            now.tell(&transition, version, position);
            told = Some(now);
        }
        let Some(told) = told else { return Ok(None) };
        let trigger = self.trigger(told.trigger, id).await?;
        Ok(Some(told.into_run(self, id, trigger)))
    }

    /// Its transitions after a position, with version and position.
    pub(crate) async fn transitions(
        &self,
        id: &str,
        after: u64,
    ) -> Result<Vec<(u64, u64, Transition)>, FlowError> {
        let stream = Stream::Flow(id.to_owned()).to_string();
        let (mut all, mut from) = (Vec::new(), after);
        loop {
            let request = ReadRequest {
                stream: stream.clone(),
                from,
                limit: PAGE,
                ..ReadRequest::default()
            };
            let page = source::within(self.source.client.clone().read(request)).await?;
            let entries = page.into_inner().entries;
            let Some(last) = entries.last() else {
                return Ok(all);
            };
            from = last.position;
            for entry in &entries {
                let activity = Activity::parse(&entry.body).ok();
                match activity.and_then(|activity| Transition::of(&activity).ok()) {
                    Some(transition) => all.push((entry.version, entry.position, transition)),
                    // A later version has moved it; this one does not know how it stands.
                    None => {
                        return Err(FlowError::Unreadable {
                            flow: id.to_owned(),
                            problem: format!("its entry at {} is none of this version's", entry.position),
                        });
                    }
                }
            }
        }
    }

    /// The entry that started a flow.
    pub(crate) async fn trigger(&self, position: u64, flow: &str) -> Result<Arc<Entry>, FlowError> {
        let mut found = self.entries(&[position]).await?;
        found.remove(&position).ok_or_else(|| FlowError::Unreadable {
            flow: flow.to_owned(),
            problem: format!("its activity at {position} is not there"),
        })
    }

    /// The entries at these positions, those that can be read.
    pub(super) async fn entries(&self, positions: &[u64]) -> Result<HashMap<u64, Arc<Entry>>, FlowError> {
        let (mut found, mut left) = (HashMap::new(), positions.to_vec());
        while !left.is_empty() {
            let asked: Vec<u64> = left.iter().take(1000).copied().collect();
            let request = ReadRequest {
                positions: asked.clone(),
                ..ReadRequest::default()
            };
            let page = source::within(self.source.client.clone().read(request)).await?;
            let entries = page.into_inner().entries;
            // A page ends by its bytes: what comes after its last is asked for again.
            let read: Vec<u64> = entries.iter().map(|entry| entry.position).collect();
            let done = if read.is_empty() { &asked } else { &read };
            left.retain(|position| !done.contains(position));
            let parsed = entries.into_iter().filter_map(|entry| parse(entry).ok());
            found.extend(parsed.map(|entry| (entry.position, Arc::new(entry))));
        }
        Ok(found)
    }

    /// The entry of an activity, by its CID or its id.
    pub(super) async fn entry_of(&self, activity: &str) -> Result<Option<Arc<Entry>>, FlowError> {
        let by = match activity.parse::<fedsx_kernel::cid::Cid>() {
            Ok(cid) => v1::get_request::By::Cid(cid.to_string()),
            Err(_) => v1::get_request::By::ActivityId(activity.to_owned()),
        };
        let request = v1::GetRequest { by: Some(by) };
        match source::within(self.source.client.clone().get(request)).await {
            Ok(entry) => Ok(parse(entry.into_inner()).ok().map(Arc::new)),
            Err(SourceError::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn parse(entry: v1::Entry) -> Result<Entry, crate::entry::Unreadable> {
    Ok(Parsed::parse(entry)?.resolve(None))
}
