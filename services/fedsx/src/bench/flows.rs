//! `fedsx bench flows`.

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use fedsx_proto::v1::{Flow, ListFlowsRequest, ListViewsRequest, ResumeFlowRequest};
use fedsx_runtime::code::Refusal;
use serde_json::{Value, json};

use super::{
    backend::Backend,
    rebuild::fill,
    report::{Form, Report},
    rig::{Rig, timed},
};

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(10);
/// How long waiting flows are watched.
const WATCHED: Duration = Duration::from_secs(10);
/// Most flows of a page.
const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub(crate) struct Flows {
    /// Activities, each of which starts a flow of four steps
    #[arg(long, value_parser = super::count, default_value_t = 20_000)]
    count: usize,
    /// The one effect among the four steps
    #[arg(long, value_enum, default_value_t = Effect::Notify)]
    effect: Effect,
    /// Instead, have flows wait for a person, look at what they cost, and then let them go on
    #[arg(long)]
    waiting: bool,
    /// Callers that let flows go on, at a time
    #[arg(long, value_parser = super::count, default_value_t = 1)]
    callers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Effect {
    Validate,
    Notify,
    Put,
    Emit,
}

impl Effect {
    fn step(self) -> Value {
        match self {
            Self::Validate => json!({"id": "do", "effect": "validate", "with": {"type": "Article"}}),
            Self::Notify => {
                json!({"id": "do", "effect": "notify", "with": {"to": "author", "text": "=activity.id"}})
            }
            Self::Put => json!({"id": "do", "effect": "put", "with": {"key": "=activity.id", "value": 1}}),
            Self::Emit => json!({"id": "do", "effect": "emit", "with": {"actor": "author", "activity": {
                "type": "Update", "object": {"type": "Note", "content": "=activity.id"}}}}),
        }
    }
}

pub(super) async fn run(bench: &Flows, backend: &Backend, form: Form) -> anyhow::Result<()> {
    let rig = Rig::start(backend).await?;
    let branch = |id: &str| json!({"id": id, "branch": [{"case": "sound", "when": "size(activity.object.content) > 0"}, {"case": "other"}]});
    let middle = if bench.waiting {
        json!({"id": "hold", "suspend": {"person": "Go on"}})
    } else {
        bench.effect.step()
    };
    define(
        &rig,
        json!([branch("first"), middle, branch("third"), branch("last")]),
    )
    .await?;
    let begun = fill(&rig, bench.count).await?;
    eprintln!(
        "{} activities are logged after {:.1} s",
        bench.count,
        begun.elapsed().as_secs_f64()
    );
    settle(&rig, bench).await?;
    let what = if bench.waiting { "start" } else { "run" };
    Report {
        what: format!("flows of four steps, {what}, logging the activities included"),
        count: bench.count,
        elapsed: begun.elapsed(),
        latencies: Vec::new(),
    }
    .print(form);
    if bench.waiting {
        watch().await?;
        resume(&rig, bench, form).await?;
    }
    rig.stop().await
}

async fn define(rig: &Rig, steps: Value) -> anyhow::Result<()> {
    let record = json!({"name": "bench", "on": {"verbs": ["Create"], "types": ["Note"]}, "steps": steps});
    rig.publish(&json!({"type": "DefineBehaviour", "object": record}))
        .await
}

/// Waits until every activity has its flow, and no flow runs.
async fn settle(rig: &Rig, bench: &Flows) -> anyhow::Result<()> {
    let last = u64::try_from(bench.count)?;
    loop {
        let listed = rig
            .domain
            .clients
            .projection
            .clone()
            .list_views(ListViewsRequest {})
            .await;
        let views = listed.map_err(Refusal::from)?.into_inner().views;
        let reaction = views.iter().find(|view| view.view == "reaction/flows");
        let position = reaction
            .and_then(|view| view.shards.first())
            .map_or(0, |shard| shard.position);
        if position >= last && flows(rig, "running", 1).await?.is_empty() {
            // What is read last may have been started just now.
            let status = if bench.waiting { "waiting" } else { "completed" };
            if flows(rig, status, PAGE).await?.len() >= bench.count.min(1000)
                && is_idle(rig, position).await?
            {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the flows' reaction has read the whole log.
async fn is_idle(rig: &Rig, position: u64) -> anyhow::Result<bool> {
    let described = rig
        .domain
        .clients
        .log
        .clone()
        .describe(fedsx_proto::v1::DescribeRequest {})
        .await;
    Ok(described.map_err(Refusal::from)?.into_inner().head <= position)
}

async fn flows(rig: &Rig, status: &str, limit: u32) -> anyhow::Result<Vec<Flow>> {
    let request = ListFlowsRequest {
        statuses: vec![status.to_owned()],
        behaviour: "bench".to_owned(),
        limit,
        ..ListFlowsRequest::default()
    };
    let listed = rig.domain.clients.flows.clone().list_flows(request).await;
    Ok(listed.map_err(Refusal::from)?.into_inner().flows)
}

/// What the process does while everything waits.
async fn watch() -> anyhow::Result<()> {
    let before = cpu()?;
    tokio::time::sleep(WATCHED).await;
    let spent = cpu()?.saturating_sub(before);
    eprintln!(
        "while they wait, the process takes {:.1} % of a core",
        100.0 * spent.as_secs_f64() / WATCHED.as_secs_f64()
    );
    Ok(())
}

/// The time that this process has had of the cores.
fn cpu() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').context("/proc/self/stat")?.1;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // USER_HZ is 100 wherever Linux runs.
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

async fn resume(rig: &Rig, bench: &Flows, form: Form) -> anyhow::Result<()> {
    let ids: Vec<String> = flows(rig, "waiting", PAGE)
        .await?
        .into_iter()
        .map(|flow| flow.id)
        .collect();
    let (count, client) = (ids.len(), rig.domain.clients.flows.clone());
    let (latencies, elapsed) = timed(bench.callers, count, move |number| {
        let mut client = client.clone();
        let id = ids.get(number).cloned().unwrap_or_default();
        async move {
            let request = ResumeFlowRequest {
                id,
                ..ResumeFlowRequest::default()
            };
            let moved = client
                .resume_flow(request)
                .await
                .map_err(Refusal::from)?
                .into_inner();
            let status = moved.flow.map(|flow| flow.status).unwrap_or_default();
            anyhow::ensure!(status == "completed", "a flow is {status}");
            Ok(())
        }
    })
    .await?;
    Report {
        what: format!("resumed and completed, {} callers", bench.callers),
        count,
        elapsed,
        latencies,
    }
    .print(form);
    Ok(())
}
