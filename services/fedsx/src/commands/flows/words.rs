//! How flows stand, in words.

use fedsx_proto::v1::{Flow, FlowStep};

use super::super::output::moment;

/// How it stands, in a word, and what it would need to go on.
pub(super) fn status(flow: &Flow) -> String {
    match flow.lacks.as_str() {
        "" => flow.status.clone(),
        lacks => format!("{} (no runner does {lacks})", flow.status),
    }
}

/// What it waits for, what is wrong, or why it was cancelled; empty: nothing.
pub(super) fn why(flow: &Flow) -> String {
    match flow.status.as_str() {
        "waiting" => {
            let waits = flow
                .steps
                .iter()
                .filter_map(|step| Some(format!("{}: {}", step.id, wait(step)?)));
            waits.collect::<Vec<_>>().join("; ")
        }
        "retrying" => format!("{}; again {}", flow.cause, at(flow.due_at_us)),
        _ => flow.cause.clone(),
    }
}

/// What a step waits for.
pub(super) fn wait(step: &FlowStep) -> Option<String> {
    match step.stand.as_str() {
        "sent" => Some("the webhook's answer".to_owned()),
        "waiting" => {
            let person = (!step.person.is_empty()).then(|| format!("a person: {}", step.person));
            let key = (!step.key.is_empty()).then(|| match step.verbs.as_slice() {
                [] => format!("an activity: {}", step.key),
                verbs => format!("{} of {}", verbs.join(" or "), step.key),
            });
            let until = (step.until_us != 0).then(|| format!("the time: {}", at(step.until_us)));
            let all: Vec<_> = [person, key, until].into_iter().flatten().collect();
            Some(all.join(", or "))
        }
        _ => None,
    }
}

/// How a step stands, in a line.
pub(super) fn stand(flow: &Flow, step: &FlowStep) -> String {
    let tried = match step.attempts {
        0 => String::new(),
        1 => " after 1 attempt".to_owned(),
        tries => format!(" after {tries} attempts"),
    };
    // Nothing is waited for any more.
    if flow.status == "cancelled" {
        let waited = wait(step).map(|wait| format!(", waited for {wait}"));
        return match step.stand.as_str() {
            "done" | "skipped" => step.stand.clone(),
            "failing" | "failed" => format!("cancelled, failed{tried}: {}", step.cause),
            _ => format!("cancelled{}", waited.unwrap_or_default()),
        };
    }
    let how = match step.stand.as_str() {
        "failing" => format!("{tried}: {}; again {}", step.cause, at(step.until_us)),
        "failed" => format!("{tried}: {}", step.cause),
        _ => wait(step).map(|wait| format!(" for {wait}")).unwrap_or_default(),
    };
    let items = match (step.each, step.items) {
        (true, 1..) => format!(", {} of {} items done", step.items_done, step.items),
        _ => String::new(),
    };
    format!("{}{items}{how}", step.stand)
}

/// A moment that the messages have in microseconds.
pub(super) fn at(microseconds: i64) -> String {
    moment(microseconds / 1000)
}
