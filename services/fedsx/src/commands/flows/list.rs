//! `fedsx flows list`

use clap::{Args, ValueEnum};
use fedsx_proto::{
    flows,
    v1::{Flow, ListBehavioursRequest, ListFlowsRequest},
};
use fedsx_runtime::code::{Code, Refusal};

use super::{
    super::{
        connect::{Running, Target},
        deliveries::names,
        output::{print, table},
    },
    moves::activity,
    words,
};

/// Flows that are asked for at once.
const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those that stand so; repeatable
    #[arg(long = "status", value_enum)]
    statuses: Vec<Status>,
    /// Only of this behaviour: its name
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    behaviour: String,
    /// Only of this activity: its CID, its id, or its position in the log
    #[arg(long, value_name = "ACTIVITY", default_value = "", hide_default_value = true)]
    activity: String,
    /// Only of activities with this object: its id, or what stands behind /objects/ in that of one of this domain
    #[arg(long, value_name = "OBJECT", default_value = "", hide_default_value = true)]
    object: String,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Continue a list: the token that it ended with
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    /// A step can run, now or once a runner is there that does its effect
    Running,
    /// For a person, an activity, a time, or a webhook's answer
    Waiting,
    /// A step has failed, and is tried again
    Retrying,
    /// A step has failed, and waits for an operator
    Failed,
    Completed,
    Cancelled,
}

impl List {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let object = match self.object.as_str() {
            "" => String::new(),
            id if id.contains(':') => id.to_owned(),
            path => domain.origin.object(path),
        };
        let request = ListFlowsRequest {
            statuses: names(&self.statuses),
            behaviour: self.behaviour,
            activity: activity(&mut domain, self.activity).await?,
            object,
            page: self.page,
            ..ListFlowsRequest::default()
        };
        let behaviour = request.behaviour.clone();
        let (found, next) = read(&mut domain, request, self.limit).await?;
        if found.is_empty() && !behaviour.is_empty() {
            is_known(&mut domain, &behaviour).await?;
        }
        if domain.output.json {
            return print(&flows::page(&found, &next, flows::flow).to_string());
        }
        print(&as_table(&found))?;
        if !next.is_empty() {
            print(&format!("more: --page {next}"))?;
        }
        Ok(())
    }
}

/// Whether a behaviour that has no flows is in effect.
async fn is_known(domain: &mut Running, name: &str) -> anyhow::Result<()> {
    let told = domain
        .clients
        .flows
        .list_behaviours(ListBehavioursRequest {})
        .await;
    let told = told.map_err(Refusal::from)?.into_inner().behaviours;
    let known: Vec<_> = told.iter().map(|behaviour| behaviour.name.as_str()).collect();
    if known.contains(&name) {
        return Ok(());
    }
    let known = known.join(", ");
    let detail = format!("there is no behaviour {name:?}, and no flow of one; there are {known}");
    Err(Refusal::new(Code::NotFound, detail).into())
}

/// Reads as many flows as are asked for, and where the list would go on.
async fn read(
    domain: &mut Running,
    mut request: ListFlowsRequest,
    mut left: u32,
) -> anyhow::Result<(Vec<Flow>, String)> {
    let mut found = Vec::new();
    loop {
        request.limit = left.min(PAGE);
        let answer = domain.clients.flows.list_flows(request.clone()).await;
        let answer = answer.map_err(Refusal::from)?.into_inner();
        left = left.saturating_sub(u32::try_from(answer.flows.len()).unwrap_or(left));
        found.extend(answer.flows);
        if left == 0 || answer.next.is_empty() {
            return Ok((found, answer.next));
        }
        request.page = answer.next;
    }
}

fn as_table(found: &[Flow]) -> String {
    let heading = ["FLOW", "BEHAVIOUR", "STATUS", "MOVED", "OBJECT", "WHY"];
    let cells = |flow: &Flow| {
        let object = if flow.object.is_empty() { "-" } else { &flow.object };
        [
            flow.id.clone(),
            flow.behaviour.clone(),
            words::status(flow),
            words::at(flow.moved_at_us),
            object.to_owned(),
            words::why(flow),
        ]
    };
    table(heading, found.iter().map(cells).collect())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use fedsx_proto::v1::FlowStep;

    use super::*;

    fn flow(status: &str, steps: Vec<FlowStep>) -> Flow {
        Flow {
            id: "k4x2".to_owned(),
            behaviour: "digest".to_owned(),
            status: status.to_owned(),
            moved_at_us: 1_763_721_600_000_000,
            object: "https://blog.example/objects/gig-night".to_owned(),
            steps,
            ..Flow::default()
        }
    }

    fn step(id: &str, stand: &str) -> FlowStep {
        FlowStep {
            id: id.to_owned(),
            stand: stand.to_owned(),
            ..FlowStep::default()
        }
    }

    #[test]
    fn a_list_says_what_each_flow_waits_for() {
        let release = FlowStep {
            person: "Release the digest".to_owned(),
            until_us: 1_763_725_200_000_000,
            ..step("release", "waiting")
        };
        let answer = FlowStep {
            key: "https://blog.example/activities/baga".to_owned(),
            verbs: vec!["Accept".to_owned(), "Reject".to_owned()],
            ..step("answer", "waiting")
        };
        let failing = Flow {
            cause: "mails: 451 try again \u{1b}[31mlater".to_owned(),
            due_at_us: 1_763_721_630_000_000,
            ..flow("retrying", vec![step("mails", "failing")])
        };
        let failed = Flow {
            cause: "tell: the actor nobody is not there".to_owned(),
            ..flow("failed", vec![step("tell", "failed")])
        };
        let lacking = Flow {
            lacks: "mail".to_owned(),
            object: String::new(),
            ..flow("running", vec![step("mails", "open")])
        };
        let flows = [
            flow("waiting", vec![step("check", "done"), release]),
            flow("waiting", vec![answer, step("hook", "sent")]),
            failing,
            failed,
            lacking,
            flow("completed", vec![step("check", "done")]),
            Flow {
                cause: "no more".to_owned(),
                ..flow("cancelled", vec![step("hook", "sent")])
            },
        ];
        insta::assert_snapshot!(as_table(&flows), @r"
        FLOW  BEHAVIOUR  STATUS                         MOVED                 OBJECT                                  WHY
        k4x2  digest     waiting                        2025-11-21T10:40:00Z  https://blog.example/objects/gig-night  release: a person: Release the digest, or the time: 2025-11-21T11:40:00Z
        k4x2  digest     waiting                        2025-11-21T10:40:00Z  https://blog.example/objects/gig-night  answer: Accept or Reject of https://blog.example/activities/baga; hook: the webhook's answer
        k4x2  digest     retrying                       2025-11-21T10:40:00Z  https://blog.example/objects/gig-night  mails: 451 try again �[31mlater; again 2025-11-21T10:40:30Z
        k4x2  digest     failed                         2025-11-21T10:40:00Z  https://blog.example/objects/gig-night  tell: the actor nobody is not there
        k4x2  digest     running (no runner does mail)  2025-11-21T10:40:00Z  -
        k4x2  digest     completed                      2025-11-21T10:40:00Z  https://blog.example/objects/gig-night
        k4x2  digest     cancelled                      2025-11-21T10:40:00Z  https://blog.example/objects/gig-night  no more
        ");
    }

    #[test]
    fn every_status_can_be_asked_for() {
        let asked = names(Status::value_variants());
        let known = fedsx_kernel::flow::Status::ALL.map(|status| status.as_str().to_owned());
        assert_eq!(asked, known);
    }
}
