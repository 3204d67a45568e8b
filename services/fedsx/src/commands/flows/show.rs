//! `fedsx flows show`

#[cfg(test)]
mod tests;

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
            words::stand(&flow, step),
        ]
    };
    text.push_str(&format!(
        "\n{}\n",
        table(heading, flow.steps.iter().map(cells).collect())
    ));
    let is_over = flow.status == "cancelled";
    let asked = flow
        .steps
        .iter()
        .filter(|step| !step.person.is_empty() && !is_over);
    for step in asked {
        text.push_str(&format!(
            "\nTo let {} go on: fedsx flows resume {} --step {} [--value JSON]\n",
            step.id, flow.id, step.id
        ));
    }
    for (step, position) in webhooks(&flow, &told.transitions) {
        text.push_str(&format!(
            "\nHow the webhook of {step} goes: fedsx deliveries --activity {position}\n"
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
        ("status", words::status(flow)),
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
    let events = events(transition);
    let started = (transition.version == 1).then(|| "started".to_owned());
    let told: Vec<_> = started.into_iter().chain(events.iter().map(event)).collect();
    [
        transition.version.to_string(),
        transition.position.to_string(),
        words::at(transition.at_us),
        told.join("; "),
    ]
}

fn events(transition: &FlowTransition) -> Vec<Value> {
    let events: Value = serde_json::from_slice(&transition.events).unwrap_or_default();
    events.as_array().cloned().unwrap_or_default()
}

/// The steps whose webhooks are under way, with the positions of the entries that delivery knows these by: the latest of each.
fn webhooks(flow: &Flow, transitions: &[FlowTransition]) -> Vec<(String, u64)> {
    let under_way = flow.steps.iter().filter(|step| step.stand == "sent");
    let found = under_way.filter_map(|step| {
        let sent = |event: &Value| event["event"] == "sent" && event["step"] == step.id.as_str();
        let mut latest = transitions.iter().rev();
        let latest = latest.find(|transition| events(transition).iter().any(sent))?;
        Some((step.id.clone(), latest.position))
    });
    found.collect()
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
