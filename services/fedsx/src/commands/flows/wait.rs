//! Waiting until a flow comes to rest.

use std::time::Duration;

use clap::Args;
use fedsx_proto::{
    flows,
    v1::{Flow, FlowMoved, GetFlowRequest},
};
use fedsx_runtime::code::Refusal;
use serde_json::Value;

use super::{super::connect::Running, words};

/// How often it is looked how the flow stands.
const EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Default, Args)]
pub(super) struct Wait {
    /// Wait so many seconds until the flow is completed, waits, or has failed, and tell; exits with 1 where it has failed
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

impl Wait {
    /// Tells how a flow stands that has been moved, once it has come to rest where that is wanted.
    pub(super) async fn tell(
        &self,
        domain: &mut Running,
        what: &str,
        moved: FlowMoved,
    ) -> anyhow::Result<()> {
        let mut flow = moved.flow.unwrap_or_default();
        if let Some(seconds) = self.wait {
            let resting = at_rest(domain, flow.clone());
            flow = match tokio::time::timeout(Duration::from_secs(seconds), resting).await {
                Ok(flow) => flow?,
                Err(_) => {
                    let id = &flow.id;
                    anyhow::bail!("the flow {id} has not come to rest within {seconds} s; it goes on")
                }
            };
        }
        let mut value = flows::flow(&flow);
        if moved.existed {
            value["existed"] = Value::Bool(true);
        }
        domain.output.one(&value, || sentence(what, &flow))?;
        anyhow::ensure!(
            self.wait.is_none() || flow.status != "failed",
            "the flow has failed: {}",
            words::why(&flow)
        );
        Ok(())
    }
}

/// The flow, once nothing more happens to it soon.
async fn at_rest(domain: &mut Running, mut flow: Flow) -> anyhow::Result<Flow> {
    while matches!(flow.status.as_str(), "running" | "retrying") {
        tokio::time::sleep(EVERY).await;
        let request = GetFlowRequest {
            id: flow.id.clone(),
            brief: true,
        };
        let told = domain.clients.flows.get_flow(request).await;
        flow = told.map_err(Refusal::from)?.into_inner().flow.unwrap_or_default();
    }
    Ok(flow)
}

fn sentence(what: &str, flow: &Flow) -> String {
    let why = words::why(flow);
    let why = if why.is_empty() { why } else { format!("; {why}") };
    let status = words::status(flow);
    format!("{what} {} of {}: {status}{why}", flow.id, flow.behaviour)
}
