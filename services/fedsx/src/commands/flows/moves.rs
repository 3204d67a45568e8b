//! `fedsx flows start|resume|retry|cancel`

use anyhow::Context as _;
use clap::Args;
use fedsx_kernel::json;
use fedsx_proto::v1::{
    CancelFlowRequest, GetRequest, ResumeFlowRequest, RetryFlowRequest, StartFlowRequest, get_request::By,
};
use fedsx_runtime::code::Refusal;
use serde_json::Value;

use super::{
    super::connect::{Running, Target},
    wait::Wait,
    whole_id,
};

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The name of a behaviour in effect
    behaviour: String,
    /// The activity: its CID, its id, or its position in the log
    activity: String,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The flow's id, or its first letters, at least 4
    id: String,
    /// Which step; needed where several wait for a person
    #[arg(long, default_value = "", hide_default_value = true)]
    step: String,
    /// What the steps after it see as `steps.<step>.value`: JSON of at most 16 KiB
    #[arg(long, value_name = "JSON", value_parser = read, conflicts_with = "text")]
    value: Option<Value>,
    /// The same, as a text
    #[arg(long)]
    text: Option<String>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// The flow's id, or its first letters, at least 4
    id: String,
    /// Only this step, also one whose webhook is not answered; else every one that has failed
    #[arg(long, default_value = "", hide_default_value = true)]
    step: String,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The flow's id, or its first letters, at least 4
    id: String,
    /// Why, for whoever wonders later: at most 1000 characters are kept
    #[arg(long, value_parser = said)]
    reason: String,
    #[command(flatten)]
    target: Target,
}

fn said(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it says nothing".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn read(text: &str) -> Result<Value, String> {
    json::parse(text.as_bytes()).map_err(|error| error.to_string())
}

impl Start {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = StartFlowRequest {
            behaviour: self.behaviour,
            activity: activity(&mut domain, self.activity).await?,
        };
        let moved = domain.clients.flows.start_flow(request).await;
        let moved = moved.map_err(Refusal::from)?.into_inner();
        let what = if moved.existed {
            "there is already"
        } else {
            "started"
        };
        self.wait.tell(&mut domain, what, moved).await
    }
}

/// An activity that may be named by its position.
pub(super) async fn activity(domain: &mut Running, activity: String) -> anyhow::Result<String> {
    let Ok(position) = activity.parse() else {
        return Ok(activity);
    };
    let by = Some(By::Position(position));
    let entry = domain.clients.log.get(GetRequest { by }).await;
    let entry = entry.map_err(Refusal::from).context("the activity")?;
    Ok(entry.into_inner().cid)
}

impl Resume {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let value = self.text.map(Value::from).or(self.value).unwrap_or_default();
        let request = ResumeFlowRequest {
            id: whole_id(&mut domain, self.id).await?,
            step: self.step,
            value: value.to_string().into(),
        };
        let moved = domain.clients.flows.resume_flow(request).await;
        let moved = moved.map_err(Refusal::from)?.into_inner();
        self.wait.tell(&mut domain, "resumed", moved).await
    }
}

impl Retry {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = RetryFlowRequest {
            id: whole_id(&mut domain, self.id).await?,
            step: self.step,
        };
        let moved = domain.clients.flows.retry_flow(request).await;
        let moved = moved.map_err(Refusal::from)?.into_inner();
        self.wait.tell(&mut domain, "trying again", moved).await
    }
}

impl Cancel {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = CancelFlowRequest {
            id: whole_id(&mut domain, self.id).await?,
            reason: self.reason,
        };
        let moved = domain.clients.flows.cancel_flow(request).await;
        let moved = moved.map_err(Refusal::from)?.into_inner();
        Wait::default().tell(&mut domain, "ended", moved).await
    }
}
