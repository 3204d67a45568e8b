//! How far a flow goes by itself.

use fedsx_kernel::{
    definition::{Action, EffectKind, Step},
    flow::{By, Event, Next},
};
use serde_json::json;

use super::{
    Engine, effects,
    run::{NotDone, Run},
};

/// Once so much is to be recorded, it is. Bytes of JSON: an entry takes a MiB.
const LARGE: usize = 256 << 10;
/// The same in events: no more than a view can make rows of, of one entry.
const MANY: usize = crate::views::declared::MAX_KEYS;
/// What a flow needs to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it is over, or waits.
    Rest,
    /// This effect at this step, which takes something from outside.
    Effect(EffectKind, String),
    /// Enough has happened to be recorded.
    Record,
}

impl Run {
    /// Goes on as far as nothing is needed from outside.
    pub(crate) fn think(&mut self, engine: &Engine) -> Needs {
        loop {
            if self.weight > LARGE || self.pending.len() >= MANY {
                return Needs::Record;
            }
            let now = engine.clock.now();
            let behaviour = self.behaviour.clone();
            let step = match self.flow.next(behaviour.steps(), now) {
                Next::Rest => return Needs::Rest,
                Next::Elapsed(step) => {
                    self.happens(Event::Resumed {
                        step: step.id.clone(),
                        by: By::Timer,
                        value: json!({ "by": "timer" }),
                    });
                    continue;
                }
                Next::Run(step) => step,
            };
            if self
                .state(&step.id)
                .is_some_and(|state| state.values_size() > LARGE)
            {
                let cause = format!("the values of its items have more than {LARGE} bytes");
                self.failed(&step.id, NotDone::wrong(cause), now);
                continue;
            }
            let decided = self.around(&step.id).decide(step, self.state(&step.id), now);
            match decided {
                Ok(Some(event)) => {
                    let event = self.since(step, event);
                    self.happens(event);
                }
                Ok(None) => {
                    let (Action::Effect(effect) | Action::Each(_, effect)) = &step.action else {
                        return Needs::Rest;
                    };
                    if !engine.can(effect.kind) {
                        return Needs::Effect(effect.kind, step.id.clone());
                    }
                    if !effects::is_at_once(effect.kind) {
                        return Needs::Effect(effect.kind, step.id.clone());
                    }
                    let _entered = self.effect_span(effect.kind, &step.id).entered();
                    match effects::at_once(engine, self, step, effect) {
                        Ok(value) => self.done(&step.id, effect.kind, value),
                        Err(failed) => self.failed(&step.id, failed, now),
                    }
                }
                Err(error) => self.failed(&step.id, NotDone::wrong(error.to_string()), now),
            }
        }
    }

    /// Who waits for an activity misses none that came while the flow was on its way to it.
    fn since(&self, step: &Step, mut event: Event) -> Event {
        if let Event::Suspended {
            key: Some(_), since, ..
        } = &mut event
        {
            let reached = self.flow.reached(self.behaviour.steps(), &step.id);
            *since = Some(reached.max(self.trigger.position));
        }
        event
    }
}
