//! What a flow's expressions come to.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    MAX_VALUE,
    event::Event,
    state::{Flow, StepState},
};
use crate::{
    definition::{Action, Case, Effect, MAX_ITEMS, Step, Suspend, Template, Timer},
    predicate::{Binding, Failure, MAX_BOUND, Program, Verdict},
};

/// What a flow's expressions may name.
#[derive(Debug, Clone)]
pub struct Around<'a> {
    pub activity: &'a Map<String, Value>,
    /// What is known of the activity's entry.
    pub entry: &'a Value,
    /// `{id, behaviour, domain}`.
    pub flow: &'a Value,
    /// The values of the steps that are done.
    steps: Value,
    /// In an `each`, the item and its place.
    item: Option<(Value, Value)>,
}

/// An expression has no value that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    #[error("`{member}`: {failure}{}", .missing.as_ref().map(|key| format!(": {key}")).unwrap_or_default())]
    Failed {
        member: String,
        failure: Failure,
        /// The key that is not there, where it is known.
        missing: Option<String>,
    },
    #[error("`{member}` {problem}")]
    Unusable { member: String, problem: String },
}

impl EvaluateError {
    /// What an expression came to is not what is needed.
    #[must_use]
    pub fn unusable(member: &str, problem: impl Into<String>) -> Self {
        Self::Unusable {
            member: member.to_owned(),
            problem: problem.into(),
        }
    }

    fn failed(member: &str, failure: Failure, missing: Option<String>) -> Self {
        Self::Failed {
            member: member.to_owned(),
            failure,
            missing,
        }
    }
}

impl<'a> Around<'a> {
    /// Around a flow as it stands now.
    #[must_use]
    pub fn new(
        activity: &'a Map<String, Value>,
        entry: &'a Value,
        flow: &'a Value,
        stands: &Flow,
        state: Option<&StepState>,
    ) -> Self {
        let values = stands.steps.keys();
        let values = values.filter_map(|id| Some((id.clone(), stands.value(id)?.clone())));
        let item = state.and_then(StepState::item);
        Self {
            activity,
            entry,
            flow,
            steps: Value::Object(values.collect()),
            item: item.map(|(place, item)| (item.clone(), place.into())),
        }
    }

    /// What is said for an effect under a key; none: nothing.
    ///
    /// # Errors
    /// [`EvaluateError`]
    pub fn said(&self, effect: &Effect, key: &str) -> Result<Option<Value>, EvaluateError> {
        let template = effect.with(key);
        template
            .map(|template| self.template(template, key, None))
            .transpose()
    }

    /// The value that a `put` gives a key that has the `current` one.
    ///
    /// # Errors
    /// [`EvaluateError`]
    pub fn put(&self, effect: &Effect, current: &Value) -> Result<Value, EvaluateError> {
        let member = "value";
        let template = effect.with(member);
        let template = template.ok_or_else(|| EvaluateError::unusable(member, "is missing"))?;
        self.template(template, member, Some(current))
    }

    fn template(
        &self,
        template: &Template,
        member: &str,
        current: Option<&Value>,
    ) -> Result<Value, EvaluateError> {
        let mut bindings = self.bindings().to_vec();
        if let Some((item, index)) = &self.item {
            bindings.extend([Binding::from(item), index.into()]);
        }
        bindings.extend(current.map(Binding::from));
        let value = template.evaluate(&bindings).map_err(|failure| {
            let missing = template.missing_key(&bindings);
            EvaluateError::failed(member, failure, missing)
        });
        bounded(value?, member)
    }

    fn bindings(&self) -> [Binding<'_>; 4] {
        [
            Binding::Object(self.activity),
            self.entry.into(),
            self.flow.into(),
            (&self.steps).into(),
        ]
    }

    fn value(&self, program: &Program, member: &str) -> Result<Value, EvaluateError> {
        let bindings = self.bindings();
        let value = program.evaluate(&bindings, MAX_BOUND).value.map_err(|failure| {
            let missing = program.missing_key(&bindings, MAX_BOUND);
            EvaluateError::failed(member, failure, missing)
        });
        bounded(value?, member)
    }

    /// What happens to a step that has no effect, or does not know yet what it goes over; none: its effect is to be done.
    ///
    /// # Errors
    /// [`EvaluateError`]
    pub fn decide(
        &self,
        step: &Step,
        state: Option<&StepState>,
        now: Timestamp,
    ) -> Result<Option<Event>, EvaluateError> {
        let id = step.id.clone();
        Ok(match &step.action {
            Action::Effect(_) => None,
            Action::Each(..) if state.is_some_and(|state| state.items.is_some()) => None,
            Action::Each(over, _) => {
                let items = match self.value(over, "each")? {
                    Value::Array(items) if items.len() <= MAX_ITEMS => items,
                    Value::Array(items) => {
                        let problem = format!("has {} items, at most {MAX_ITEMS} are gone over", items.len());
                        return Err(EvaluateError::unusable("each", problem));
                    }
                    _ => return Err(EvaluateError::unusable("each", "is no list")),
                };
                Some(Event::Items { step: id, items })
            }
            Action::Branch(cases) => Some(Event::Done {
                step: id,
                item: None,
                effect: None,
                value: self.case(cases)?.map_or(Value::Null, Value::from),
            }),
            Action::Suspend(suspend) => Some(self.suspended(id, suspend, now)?),
        })
    }

    fn case<'c>(&self, cases: &'c [Case]) -> Result<Option<&'c str>, EvaluateError> {
        for case in cases {
            let holds = match &case.when {
                None => true,
                Some(when) => match when.decide(&self.bindings(), MAX_BOUND).verdict {
                    Verdict::True => true,
                    Verdict::False => false,
                    Verdict::Failed(failure) => {
                        let missing = when.missing_key(&self.bindings(), MAX_BOUND);
                        let member = format!("when of {}", case.name);
                        return Err(EvaluateError::failed(&member, failure, missing));
                    }
                },
            };
            if holds {
                return Ok(Some(&case.name));
            }
        }
        Ok(None)
    }

    fn suspended(&self, step: String, suspend: &Suspend, now: Timestamp) -> Result<Event, EvaluateError> {
        let key = suspend
            .activity
            .as_ref()
            .map(|awaited| match self.value(&awaited.equals, "equals")? {
                Value::String(key) if !key.is_empty() => Ok(key),
                _ => Err(EvaluateError::unusable("equals", "is no text")),
            });
        let until = suspend.timer.as_ref().map(|timer| match timer {
            Timer::After(duration) => now
                .checked_add(*duration)
                .map_err(|_| EvaluateError::unusable("timer", "is beyond all times")),
            Timer::At(program) => {
                let value = self.value(program, "timer")?;
                let moment = value.as_str().and_then(|text| text.parse().ok());
                moment.ok_or_else(|| EvaluateError::unusable("timer", "is no date and time of RFC 3339"))
            }
        });
        Ok(Event::Suspended {
            step,
            person: suspend.person.clone(),
            key: key.transpose()?,
            until: until.transpose()?,
            // Known by who knows the log.
            since: None,
        })
    }
}

/// What expressions may name of a flow beside its steps.
#[must_use]
pub fn about(id: &str, behaviour: &str, domain: &str) -> Value {
    json!({ "id": id, "behaviour": behaviour, "domain": domain })
}

fn bounded(value: Value, member: &str) -> Result<Value, EvaluateError> {
    let bytes = value.to_string().len();
    if bytes > MAX_VALUE {
        let problem = format!("has {bytes} bytes, at most {MAX_VALUE} are kept");
        return Err(EvaluateError::unusable(member, problem));
    }
    Ok(value)
}
