//! The steps of a behaviour.

use jiff::SignedDuration;
use serde_json::Value;

use super::{
    super::{
        members::Members,
        projection_record::{OF_ENTRIES, expression, names, required},
        read::DefinitionError,
    },
    MAX_STEPS,
    effect::Effect,
    template::{Budget, Template},
};
use crate::predicate::Program;

/// What expressions of steps may name: the activity that started the flow and what is known of its entry
/// ([`OF_ENTRIES`]); `flow`, with its `id`, `behaviour` (the name) and `domain` (the base, `https://blog.example/`); and `steps`,
/// the values of the steps that are done, by their ids.
pub const OF_FLOWS: [&str; 4] = ["activity", "entry", "flow", "steps"];
/// Besides those, in what an `each` does: the item, and its place from 0.
const OF_ITEMS: [&str; 2] = ["item", "index"];
/// Most items that an `each` goes over.
pub const MAX_ITEMS: usize = 1000;
/// Most cases of a branch, and most edges that lead to a step.
const MAX_EDGES: usize = 16;
/// Longest that a timer waits from when it is set.
const LONGEST: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);
const KINDS: [&str; 4] = ["effect", "branch", "each", "suspend"];
const CONTINUE: &str = "continueOnError";

/// A step: what happens, and after which others.
#[derive(Debug, Clone)]
pub struct Step {
    pub id: String,
    /// The edges that lead here; none: it is a beginning. It runs once all of those steps are done with, and one edge was
    /// taken; where none was, it is passed over.
    pub after: Vec<Edge>,
    pub action: Action,
    /// Of an effect: once it fails and is not tried again by itself, the step, or the item that it was at, is done all the same,
    /// with `{"error": "<cause>"}` as its value.
    pub continue_on_error: bool,
}

/// Where an edge comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The place of a step that stands above.
    pub step: usize,
    /// Of a branch: the case in which the edge is taken.
    pub case: Option<String>,
}

/// What a step is.
#[derive(Debug, Clone)]
pub enum Action {
    Effect(Effect),
    /// The first case that holds is the step's value; null where none does.
    Branch(Vec<Case>),
    /// Does an effect for each item of a list, in order. Its value: the list of theirs.
    Each(Program, Effect),
    Suspend(Suspend),
}

/// A case of a branch.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    /// None: in every other case.
    pub when: Option<Program>,
}

/// What a step waits for: whatever comes first.
#[derive(Debug, Clone)]
pub struct Suspend {
    /// What a person is asked to do before going on.
    pub person: Option<String>,
    pub activity: Option<Awaited>,
    pub timer: Option<Timer>,
}

/// An activity that is waited for.
#[derive(Debug, Clone)]
pub struct Awaited {
    /// Its verb is one of these.
    pub verbs: Vec<String>,
    /// What must be true of it, of [`OF_ENTRIES`].
    pub when: Option<Program>,
    /// A text that it has, of [`OF_ENTRIES`].
    pub key: Program,
    /// The same text as the flow has it, of [`OF_FLOWS`].
    pub equals: Program,
}

/// Until when.
#[derive(Debug, Clone)]
pub enum Timer {
    /// From when the flow is suspended.
    After(SignedDuration),
    /// A moment (RFC 3339), of [`OF_FLOWS`].
    At(Program),
}

impl Step {
    /// The effect that it has, once or for each item.
    #[must_use]
    pub fn effect(&self) -> Option<&Effect> {
        match &self.action {
            Action::Effect(effect) | Action::Each(_, effect) => Some(effect),
            Action::Branch(_) | Action::Suspend(_) => None,
        }
    }
}

pub(super) fn steps(members: &Members<'_>) -> Result<Vec<Step>, DefinitionError> {
    let values = members
        .list("steps")?
        .ok_or_else(|| members.error("steps", "is missing"))?;
    if values.len() > MAX_STEPS {
        let problem = format!("has {} steps, at most {MAX_STEPS} are admitted", values.len());
        return Err(members.error("steps", problem));
    }
    let mut steps: Vec<Step> = Vec::with_capacity(values.len());
    for (place, value) in values.iter().enumerate() {
        let step = step(&format!("{}[{place}]", members.at("steps")), value, &steps)?;
        steps.push(step);
    }
    Ok(steps)
}

fn step(path: &str, value: &Value, above: &[Step]) -> Result<Step, DefinitionError> {
    let object = value
        .as_object()
        .ok_or_else(|| DefinitionError::new(path, "is no object"))?;
    let known = [
        "id", "after", "with", CONTINUE, KINDS[0], KINDS[1], KINDS[2], KINDS[3],
    ];
    let members = Members::of(path, object, &known)?;
    let id = members.name("id")?.to_owned();
    if above.iter().any(|step| step.id == id) {
        return Err(members.error("id", "is the id of a step above"));
    }
    let after = after(&members, above)?;
    let action = match KINDS.map(|kind| members.has(kind)) {
        [true, false, false, false] => Action::Effect(Effect::read(&members, &OF_FLOWS)?),
        [true, false, true, false] => {
            let variables = [OF_FLOWS.as_slice(), &OF_ITEMS].concat();
            let over = required(&members, "each", &OF_FLOWS)?;
            Action::Each(over, Effect::read(&members, &variables)?)
        }
        [false, true, false, false] => Action::Branch(cases(&members)?),
        [false, false, false, true] => Action::Suspend(suspend(&members)?),
        _ => {
            let problem = "is none of `effect`, `each` with `effect`, `branch`, `suspend`";
            return Err(DefinitionError::new(path, problem));
        }
    };
    let has_effect = matches!(action, Action::Effect(_) | Action::Each(..));
    for key in ["with", CONTINUE] {
        if members.has(key) && !has_effect {
            return Err(members.error(key, "belongs to an `effect`"));
        }
    }
    Ok(Step {
        id,
        after,
        action,
        continue_on_error: members.flag(CONTINUE)?.unwrap_or_default(),
    })
}

fn after(members: &Members<'_>, above: &[Step]) -> Result<Vec<Edge>, DefinitionError> {
    let Some(values) = members.list("after")? else {
        let before = above.len().checked_sub(1);
        return Ok(before.map(|step| Edge { step, case: None }).into_iter().collect());
    };
    if values.len() > MAX_EDGES {
        let problem = format!("has {} steps, at most {MAX_EDGES} are admitted", values.len());
        return Err(members.error("after", problem));
    }
    let edges = values.iter().enumerate().map(|(place, value)| {
        let problem = |problem: &str| members.error(&format!("after[{place}]"), problem.to_owned());
        let text = value.as_str().ok_or_else(|| problem("is no string"))?;
        let (id, case) = match text.split_once('.') {
            Some((id, case)) => (id, Some(case)),
            None => (text, None),
        };
        let step = above
            .iter()
            .position(|step| step.id == id)
            .ok_or_else(|| problem("is no step above"))?;
        let has = |case: &str| match above.get(step).map(|step| &step.action) {
            Some(Action::Branch(cases)) => cases.iter().any(|known| known.name == case),
            _ => false,
        };
        if case.is_some_and(|case| !has(case)) {
            return Err(problem("is no case of that step"));
        }
        let case = case.map(str::to_owned);
        Ok(Edge { step, case })
    });
    edges.collect()
}

fn cases(members: &Members<'_>) -> Result<Vec<Case>, DefinitionError> {
    let values = members.list("branch")?.map(Vec::as_slice).unwrap_or_default();
    if values.is_empty() || values.len() > MAX_EDGES {
        let problem = format!("has {} cases: 1 to {MAX_EDGES}", values.len());
        return Err(members.error("branch", problem));
    }
    let mut cases: Vec<Case> = Vec::with_capacity(values.len());
    for (place, value) in values.iter().enumerate() {
        let path = members.at(&format!("branch[{place}]"));
        let object = value
            .as_object()
            .ok_or_else(|| DefinitionError::new(path.as_str(), "is no object"))?;
        let case = Members::of(path, object, &["case", "when"])?;
        let name = case.name("case")?.to_owned();
        if cases.iter().any(|known| known.name == name) {
            return Err(case.error("case", "is the name of a case above"));
        }
        if cases.last().is_some_and(|last| last.when.is_none()) {
            return Err(case.error("case", "is never reached: the one before it has no `when`"));
        }
        let when = expression(&case, "when", &OF_FLOWS)?;
        cases.push(Case { name, when });
    }
    Ok(cases)
}

fn suspend(members: &Members<'_>) -> Result<Suspend, DefinitionError> {
    let object = members.get("suspend").and_then(Value::as_object);
    let object = object.ok_or_else(|| members.error("suspend", "is no object"))?;
    let path = members.at("suspend");
    let known = ["person", "activity", "timer"];
    let members = Members::of(path.as_str(), object, &known)?;
    if object.is_empty() {
        return Err(DefinitionError::new(
            path,
            format!("has none of {}", known.join(", ")),
        ));
    }
    let person = members.text("person")?.map(str::to_owned);
    if person
        .as_ref()
        .is_some_and(|text| text.trim().is_empty() || text.len() > 1000)
    {
        return Err(members.error("person", "has to have 1 to 1000 bytes"));
    }
    Ok(Suspend {
        person,
        activity: members
            .get("activity")
            .map(|value| awaited(&members.at("activity"), value))
            .transpose()?,
        timer: timer(&members)?,
    })
}

fn awaited(path: &str, value: &Value) -> Result<Awaited, DefinitionError> {
    let object = value
        .as_object()
        .ok_or_else(|| DefinitionError::new(path, "is no object"))?;
    let members = Members::of(path, object, &["verbs", "when", "key", "equals"])?;
    let verbs = names(&members, "verbs")?;
    if verbs.is_empty() {
        return Err(members.error("verbs", "is missing"));
    }
    Ok(Awaited {
        verbs,
        when: expression(&members, "when", &OF_ENTRIES)?,
        key: required(&members, "key", &OF_ENTRIES)?,
        equals: required(&members, "equals", &OF_FLOWS)?,
    })
}

fn timer(members: &Members<'_>) -> Result<Option<Timer>, DefinitionError> {
    let Some(text) = members.text("timer")? else {
        return Ok(None);
    };
    let path = members.at("timer");
    if text.starts_with('=') {
        let value = Value::from(text);
        return match Template::read(&path, &value, &OF_FLOWS, &mut Budget::default())? {
            Template::Expression(program) => Ok(Some(Timer::At(program))),
            _ => Ok(None),
        };
    }
    let duration = duration(text).filter(|duration| !duration.is_negative() && *duration <= LONGEST);
    let problem = "is no duration of ISO 8601 up to ten years (`PT30M`, `P7D`), and no expression (`=…`)";
    duration
        .map(|duration| Some(Timer::After(duration)))
        .ok_or_else(|| DefinitionError::new(path, problem))
}

/// A duration whose days have 24 hours; years and months have none that is certain.
fn duration(text: &str) -> Option<SignedDuration> {
    let span: jiff::Span = text.parse().ok()?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()
}
