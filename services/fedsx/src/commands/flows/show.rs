//! `fedsx flows show`

use clap::Args;
use fedsx_proto::{
    flows,
    v1::{Flow, FlowStep, FlowTransition, GetFlowRequest, GetFlowResponse},
};
use fedsx_runtime::code::Refusal;
use serde_json::Value;

use super::{
    super::{
        connect::Target,
        output::{print, table},
    },
    whole_id, words,
};

/// Lines of a value that are shown.
const LINES: usize = 12;
/// Characters of such a line.
const WIDTH: usize = 200;

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The flow's id, or its first letters, at least 4
    id: String,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = GetFlowRequest {
            id: whole_id(&mut domain, self.id).await?,
            brief: false,
        };
        let told = domain.clients.flows.get_flow(request).await;
        let told = told.map_err(Refusal::from)?.into_inner();
        if domain.output.json {
            return print(&flows::whole(&told).to_string());
        }
        print(&in_detail(&told))
    }
}

/// A flow on many lines.
fn in_detail(told: &GetFlowResponse) -> String {
    let flow = told.flow.clone().unwrap_or_default();
    let mut text = head(&flow);
    let heading = ["STEP", "KIND", "STANDS"];
    let cells = |step: &FlowStep| {
        let each = if step.each { "each " } else { "" };
        [
            step.id.clone(),
            format!("{each}{}", step.kind),
            words::stand(step),
        ]
    };
    text.push_str(&format!(
        "\n{}\n",
        table(heading, flow.steps.iter().map(cells).collect())
    ));
    for step in flow.steps.iter().filter(|step| !step.person.is_empty()) {
        text.push_str(&format!(
            "\nTo let {} go on: fedsx flows resume {} --step {}\n",
            step.id, flow.id, step.id
        ));
    }
    for step in &flow.steps {
        if let Some(value) = value(step) {
            text.push_str(&format!("\nThe value of {}:\n{value}\n", step.id));
        }
    }
    let heading = ["VERSION", "POSITION", "AT", "WHAT HAPPENED"];
    let rows = told.transitions.iter().map(happened).collect();
    text.push_str(&format!("\n{}", table(heading, rows)));
    text
}

fn head(flow: &Flow) -> String {
    let lines = [
        ("flow", flow.id.clone()),
        ("behaviour", format!("{} {}", flow.behaviour, flow.behaviour_cid)),
        ("activity", flow.activity_id.clone()),
        ("position", flow.position.to_string()),
        ("verb", flow.verb.clone()),
        ("actor", flow.actor.clone()),
        ("object", flow.object.clone()),
        ("status", flow.status.clone()),
        ("why", words::why(flow)),
        ("started", words::at(flow.started_at_us)),
        ("moved", words::at(flow.moved_at_us)),
        ("next", words::at(flow.due_at_us)),
    ];
    let lines = lines
        .into_iter()
        .filter(|(_, value)| !value.is_empty() && value != "-");
    lines
        .map(|(name, value)| format!("{name:10} {value}\n"))
        .collect()
}

/// A step's value as a person reads it; none where it says nothing.
fn value(step: &FlowStep) -> Option<String> {
    let value: Value = serde_json::from_slice(&step.value).ok()?;
    if value.is_null() {
        return None;
    }
    let text = format!("{value:#}");
    let cut = |line: &str| match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    };
    let mut lines: Vec<String> = text.lines().take(LINES).map(cut).collect();
    if text.lines().count() > LINES || lines.iter().any(|line| line.ends_with('…')) {
        lines.push("… (--json shows all)".to_owned());
    }
    Some(lines.join("\n"))
}

fn happened(transition: &FlowTransition) -> [String; 4] {
    let events: Value = serde_json::from_slice(&transition.events).unwrap_or_default();
    let events = events.as_array().into_iter().flatten().map(event);
    [
        transition.version.to_string(),
        transition.position.to_string(),
        words::at(transition.at_us),
        events.collect::<Vec<_>>().join("; "),
    ]
}

/// An event of a transition in words: `mails/2 failed at attempt 1: 451 later`.
fn event(event: &Value) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    let step = match event["item"].as_u64() {
        Some(item) => format!("{}/{item}", text("step")),
        None => text("step").to_owned(),
    };
    match text("event") {
        "done" => match event["effect"].as_str() {
            None => format!("{step} chose {}", event["value"].as_str().unwrap_or("nothing")),
            Some(_) => format!("{step} done"),
        },
        "items" => format!(
            "{step} goes over {} items",
            event["items"].as_array().map_or(0, Vec::len)
        ),
        "suspended" => format!("{step} suspended"),
        "resumed" => format!("{step} resumed by {}", text("by")),
        "sent" => format!("{step} sent, attempt {}", event["attempt"]),
        "answered" if event["delivered"] == true => format!("{step} answered {}", event["status"]),
        "answered" => format!("{step} not taken: {}", text("cause")),
        "failed" => format!("{step} failed at attempt {}: {}", event["attempt"], text("cause")),
        "retried" => format!("{step} tried again by an operator"),
        "cancelled" if text("reason").is_empty() => "cancelled".to_owned(),
        "cancelled" => format!("cancelled: {}", text("reason")),
        other => format!("{step} {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flow_is_shown_with_all_that_happened() {
        let step = |id: &str, kind: &str, stand: &str| FlowStep {
            id: id.to_owned(),
            kind: kind.to_owned(),
            stand: stand.to_owned(),
            ..FlowStep::default()
        };
        let long: Vec<u32> = (0..30).collect();
        let steps = vec![
            FlowStep {
                value: json!({"valid": true, "problem": null}).to_string().into(),
                ..step("check", "validate", "done")
            },
            FlowStep {
                value: json!(long).to_string().into(),
                ..step("rows", "query", "done")
            },
            FlowStep {
                person: "Release the digest".to_owned(),
                ..step("release", "suspend", "waiting")
            },
            FlowStep {
                each: true,
                items: 3,
                items_done: 1,
                attempts: 2,
                cause: "451 \u{1b}[31mlater".to_owned(),
                until_us: 1_763_721_630_000_000,
                ..step("mails", "mail", "failing")
            },
            step("sent", "put", "later"),
        ];
        let flow = Flow {
            id: "k4x2".to_owned(),
            behaviour: "digest".to_owned(),
            behaviour_cid: "bagabehaviour".to_owned(),
            activity_id: "https://blog.example/activities/baga".to_owned(),
            position: 31,
            verb: "Update".to_owned(),
            actor: "https://blog.example/actors/author".to_owned(),
            status: "waiting".to_owned(),
            started_at_us: 1_763_721_600_000_000,
            moved_at_us: 1_763_721_600_000_000,
            steps,
            ..Flow::default()
        };
        let events = json!([
            {"event": "done", "step": "check", "effect": "validate", "value": {}},
            {"event": "done", "step": "which", "value": "newsletter"},
            {"event": "items", "step": "mails", "items": [1, 2, 3]},
            {"event": "done", "step": "mails", "item": 0, "effect": "mail", "value": {}},
            {"event": "failed", "step": "mails", "item": 1, "attempt": 2, "cause": "451 later"},
            {"event": "sent", "step": "hook", "attempt": 1},
            {"event": "answered", "step": "hook", "attempt": 1, "delivered": true, "status": 202},
            {"event": "suspended", "step": "release"},
            {"event": "resumed", "step": "release", "by": "person"},
            {"event": "retried", "step": "mails"},
            {"event": "cancelled", "reason": "no more"},
        ]);
        let transition = FlowTransition {
            version: 1,
            position: 32,
            at_us: 1_763_721_600_000_000,
            events: events.to_string().into(),
        };
        let told = GetFlowResponse {
            flow: Some(flow),
            transitions: vec![transition],
        };
        insta::assert_snapshot!(in_detail(&told), @r#"
        flow       k4x2
        behaviour  digest bagabehaviour
        activity   https://blog.example/activities/baga
        position   31
        verb       Update
        actor      https://blog.example/actors/author
        status     waiting
        why        release: a person: Release the digest
        started    2025-11-21T10:40:00Z
        moved      2025-11-21T10:40:00Z

        STEP     KIND       STANDS
        check    validate   done
        rows     query      done
        release  suspend    waiting for a person: Release the digest
        mails    each mail  failing, 1 of 3 items done after 2 attempts: 451 �[31mlater; again 2025-11-21T10:40:30Z
        sent     put        later

        To let release go on: fedsx flows resume k4x2 --step release

        The value of check:
        {
          "problem": null,
          "valid": true
        }

        The value of rows:
        [
          0,
          1,
          2,
          3,
          4,
          5,
          6,
          7,
          8,
          9,
          10,
        … (--json shows all)

        VERSION  POSITION  AT                    WHAT HAPPENED
        1        32        2025-11-21T10:40:00Z  check done; which chose newsletter; mails goes over 3 items; mails/0 done; mails/1 failed at attempt 2: 451 later; hook sent, attempt 1; hook answered 202; release suspended; release resumed by person; mails tried again by an operator; cancelled: no more
        "#);
    }
}
