//! Flows that an activity lets go on.
//!
//! An activity that comes when its flow waits already is found by its key. One that came while the flow was still on its way
//! there (it was killed after it had asked, say, and the answer was faster than its next start) is looked for when the flow comes
//! to wait: from what the steps before it have published or waited for on, else from its own activity on.

use std::collections::{BTreeMap, HashMap, HashSet};

use fedsx_kernel::{
    flow::{By, Event, Stand, Transition, Wait},
    stream::Stream,
};
use fedsx_proto::v1::ReadRequest;
use serde_json::{Value, json};

use super::{FlowError, commit::Written, follower::Follower, refold, row, run::Run, trigger};
use crate::{
    entry::{Entry, verb},
    source,
    store::flows::{AwaitedKey, AwaitedStep, FlowRow},
};

/// How often a flow is tried to let go on that others move.
const TRIES: u32 = 100;
/// How far is looked back, in entries: a flow that took longer to come to its wait has missed what came before.
const BACK: u64 = 10_000;
/// Entries of a page.
const PAGE: u32 = 1000;

/// Where a flow has come to wait: its activity lies after `since` and before `position`.
#[derive(Debug)]
struct Span {
    flow: String,
    since: u64,
    position: u64,
}

impl Follower {
    /// Lets flows go on that wait for one of these activities.
    pub(super) async fn resume(&self, entries: &[&Entry]) -> Result<bool, FlowError> {
        let mut resumed = false;
        for entry in entries {
            let records = self.in_effect.all();
            let keys: Vec<AwaitedKey> = records.flat_map(|record| trigger::keys(record, entry)).collect();
            if keys.is_empty() {
                continue;
            }
            // What waits since a moment ago may be on the way to the store.
            self.engine.behind.flush().await;
            for (key, row) in self.engine.store.waiting(&keys).await? {
                resumed |= self.resume_one(&key.step.step, &row, entry).await?;
            }
        }
        Ok(resumed)
    }

    /// Lets those of these flows go on whose activity came before they waited for it.
    pub(super) async fn look_back(&self, moved: &[&Entry]) -> Result<bool, FlowError> {
        let mut spans: HashMap<AwaitedKey, Vec<Span>> = HashMap::new();
        for entry in moved {
            for (key, span) in came_to_wait(entry) {
                spans.entry(key).or_default().push(span);
            }
        }
        if spans.is_empty() {
            return Ok(false);
        }
        self.engine.behind.flush().await;
        // Most of a log that is read anew wait no longer.
        let keys: Vec<AwaitedKey> = spans.keys().cloned().collect();
        let mut rows: BTreeMap<String, FlowRow> = BTreeMap::new();
        let mut waiting = HashSet::new();
        for (key, row) in self.engine.store.waiting(&keys).await? {
            waiting.insert((key, row.id.clone()));
            rows.insert(row.id.clone(), row);
        }
        for (key, spans) in &mut spans {
            spans.retain(|span| waiting.contains(&(key.clone(), span.flow.clone())));
        }
        spans.retain(|_, spans| !spans.is_empty());
        let mut resumed = false;
        for (entry, key) in self.matches(&spans).await? {
            for span in spans.get(&key).into_iter().flatten() {
                let lies = (span.since < entry.position) & (entry.position < span.position);
                if let Some(row) = rows.get(&span.flow).filter(|_| lies) {
                    resumed |= self.resume_one(&key.step.step, row, &entry).await?;
                }
            }
        }
        Ok(resumed)
    }

    /// The activities that one of these waits for, in order.
    async fn matches(
        &self,
        spans: &HashMap<AwaitedKey, Vec<Span>>,
    ) -> Result<Vec<(Entry, AwaitedKey)>, FlowError> {
        let all = || spans.values().flatten();
        let Some(until) = all().map(|span| span.position).max() else {
            return Ok(Vec::new());
        };
        let since = all().map(|span| span.since).min().unwrap_or(until);
        let behaviours: HashSet<&str> = spans.keys().map(|key| key.step.behaviour.as_str()).collect();
        let mut records = Vec::with_capacity(behaviours.len());
        for behaviour in behaviours {
            records.push(self.engine.records.record(behaviour).await?);
        }
        let wants = |said: &str| records.iter().any(|record| trigger::awaits(record, said));
        let (mut found, mut from) = (Vec::new(), since.max(until.saturating_sub(BACK)));
        while from < until {
            let request = ReadRequest {
                from,
                limit: PAGE,
                ..ReadRequest::default()
            };
            let page = source::within(self.engine.source.client.clone().read(request)).await?;
            let entries = page.into_inner().entries;
            let Some(last) = entries.last() else { break };
            from = last.position;
            let wanted = entries
                .into_iter()
                .filter(|entry| verb(&entry.body).is_none_or(|said| wants(&said)));
            for entry in wanted.filter_map(|entry| refold::parse(entry).ok()) {
                let keys = records.iter().flat_map(|record| trigger::keys(record, &entry));
                let keys: Vec<AwaitedKey> = keys.filter(|key| spans.contains_key(key)).collect();
                found.extend(keys.into_iter().map(|key| (entry.clone(), key)));
            }
        }
        Ok(found)
    }

    /// False: it does not wait for this.
    async fn resume_one(&self, step: &str, row: &FlowRow, entry: &Entry) -> Result<bool, FlowError> {
        match self.try_resume(step, row, entry).await {
            // It stands for itself; the others go on.
            Err(error) if error.is_of_the_flow() => {
                tracing::warn!(flow = row.id, %error, "a flow that an activity would let go on is passed over");
                Ok(false)
            }
            resumed => resumed,
        }
    }

    async fn try_resume(&self, step: &str, row: &FlowRow, entry: &Entry) -> Result<bool, FlowError> {
        let waits = |stand: Option<&Stand>, last: u64| {
            let wait = match stand {
                Some(Stand::Waiting(wait)) => wait,
                _ => return false,
            };
            wait.key.is_some() && since(wait, last) < entry.position
        };
        let flow = row::state(row)?;
        if !waits(flow.steps.get(step).map(|state| &state.stand), row.last_position) {
            return Ok(false);
        }
        let trigger = self.engine.trigger(row.position, &row.id).await?;
        let mut run = Run::of(&self.engine, row, Some(&trigger)).await?;
        for _ in 0..TRIES {
            if !waits(run.state(step).map(|state| &state.stand), run.last_position) {
                return Ok(false);
            }
            run.happens(Event::Resumed {
                step: step.to_owned(),
                by: By::Activity,
                value: value(entry),
            });
            if self.engine.writer.write(&mut run).await? == Written::Yes {
                self.engine.hand_over(vec![run]).await?;
                return Ok(true);
            }
            match self.engine.refold(&run.id).await? {
                Some(now) => run = now,
                None => return Ok(false),
            }
        }
        tracing::warn!(
            flow = row.id,
            "a flow that an activity would let go on is moved by others all the time"
        );
        Ok(false)
    }
}

/// The position from which on an activity counts. Flows of earlier versions did not say it.
fn since(wait: &Wait, last_position: u64) -> u64 {
    wait.since.unwrap_or(last_position)
}

/// What the step is worth afterwards.
fn value(entry: &Entry) -> Value {
    let activity = &entry.activity;
    json!({
        "by": "activity",
        "id": activity.id(),
        "cid": activity.cid(),
        "position": entry.position,
        "type": activity.verb(),
        "actor": activity.actor(),
        "object": activity.object_id(),
    })
}

/// What a flow has come to wait for with one of its entries, as far as entries lie between.
fn came_to_wait(entry: &Entry) -> Vec<(AwaitedKey, Span)> {
    let Stream::Flow(flow) = &entry.stream else {
        return Vec::new();
    };
    let events = entry.activity.document().get("events").and_then(Value::as_array);
    if !events.is_some_and(|events| events.iter().any(|event| event.get("since").is_some())) {
        return Vec::new();
    }
    // One that cannot be read is told of where its flow is kept.
    let Ok(transition) = Transition::of(&entry.activity) else {
        return Vec::new();
    };
    let behaviour = transition.behaviour.to_string();
    let waits = transition.events.into_iter().filter_map(|event| match event {
        Event::Suspended {
            step,
            key: Some(key),
            since: Some(since),
            ..
        } if since + 1 < entry.position => {
            let key = AwaitedKey {
                step: AwaitedStep {
                    behaviour: behaviour.clone(),
                    step,
                },
                key,
            };
            let span = Span {
                flow: flow.clone(),
                since,
                position: entry.position,
            };
            Some((key, span))
        }
        _ => None,
    });
    waits.collect()
}
