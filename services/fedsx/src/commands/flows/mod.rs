//! `fedsx flows`: how what the domain does on activities goes, and what people do about it.

mod behaviours;
mod list;
mod moves;
mod show;
mod wait;
mod words;

use clap::Subcommand;
use fedsx_proto::v1::ListFlowsRequest;
use fedsx_runtime::code::{Code, Refusal};

use super::connect::Running;

/// Letters and digits of a whole id.
const ID: usize = 52;
/// Fewest of them that an id is found by.
const SHORTEST: usize = 4;

#[derive(Debug, Subcommand)]
pub(crate) enum Flows {
    /// List flows, those of the latest activities first, with what they wait for and why they failed
    List(list::List),
    /// Show a flow: its steps, their values, what it waits for, and what happened when
    Show(show::Show),
    /// Start a behaviour on an activity of the log, whether or not it is of its verbs and types. Each has one flow of both: where
    /// there is one, that is shown
    Start(moves::Start),
    /// Let a step go on that waits for a person
    Resume(moves::Resume),
    /// Try again now what has failed, or is to be tried later
    Retry(moves::Retry),
    /// End a flow: nothing that it has done is undone, and it does nothing more. A webhook that delivery has already is still
    /// posted: `fedsx deliveries` shows it
    Cancel(moves::Cancel),
    /// The behaviours in effect, and the runners with the effects that each can do
    Behaviours(behaviours::Behaviours),
}

pub(crate) async fn run(flows: Flows) -> anyhow::Result<()> {
    match flows {
        Flows::List(list) => list.run().await,
        Flows::Show(show) => show.run().await,
        Flows::Start(start) => start.run().await,
        Flows::Resume(resume) => resume.run().await,
        Flows::Retry(retry) => retry.run().await,
        Flows::Cancel(cancel) => cancel.run().await,
        Flows::Behaviours(behaviours) => behaviours.run().await,
    }
}

/// The id of the one flow whose id begins so.
async fn whole_id(domain: &mut Running, id: String) -> anyhow::Result<String> {
    if id.len() >= ID {
        return Ok(id);
    }
    let of_ids = |letter: u8| letter.is_ascii_lowercase() || (b'2'..=b'7').contains(&letter);
    if id.len() < SHORTEST || !id.bytes().all(of_ids) {
        let detail = format!(
            "ID is {id:?}: a flow's has small letters and digits from 2 to 7, of which the first {SHORTEST} are needed"
        );
        return Err(Refusal::new(Code::Malformed, detail).into());
    }
    let request = ListFlowsRequest {
        prefix: id.clone(),
        limit: 2,
        ..ListFlowsRequest::default()
    };
    let answer = domain.clients.flows.list_flows(request).await;
    let mut found = answer.map_err(Refusal::from)?.into_inner().flows.into_iter();
    let refused = |code, what| Err(Refusal::new(code, format!("{what} begins with {id:?}")).into());
    match (found.next(), found.next()) {
        (Some(flow), None) if !id.is_empty() => Ok(flow.id),
        (Some(_), Some(_)) => refused(Code::Malformed, "the id of more than one flow"),
        _ => refused(Code::NotFound, "no flow's id"),
    }
}
