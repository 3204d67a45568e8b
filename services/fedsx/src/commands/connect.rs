//! Finding the domain that a command is for.

use std::path::PathBuf;

use clap::Args;
use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::{DescribeRequest, PublishRequest, PublishResponse, publish_response::Outcome};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::Credentials,
    transport,
};
use serde_json::Value;

use super::output::Output;
use crate::domain::{Clients, Connection};

/// Which domain, and how to print.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// Data folder of the running domain
    #[arg(
        long,
        env = "FEDSX_DATA",
        default_value = "fedsx-data",
        value_name = "DIR",
        global = true
    )]
    data: PathBuf,
    /// Its internal gRPC server instead, with --token
    #[arg(long, env = "FEDSX_CONNECT", value_name = "URL", global = true)]
    connect: Option<String>,
    /// The operator's token
    #[arg(
        long,
        env = "FEDSX_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        global = true
    )]
    token: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

/// No domain answers where the command looked.
#[derive(Debug, thiserror::Error)]
#[error("no domain answers: {0}")]
pub(crate) struct NoDomain(String);

/// A running domain, as a command sees it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) origin: Origin,
    /// The log's head when the command started: what it reads afterwards is at least that new.
    pub(crate) head: u64,
    pub(crate) clients: Clients,
    pub(crate) output: Output,
}

impl Target {
    /// Connects to the domain.
    pub(crate) async fn open(&self) -> anyhow::Result<Running> {
        let (url, token) = match &self.connect {
            Some(url) => (url.clone(), self.token.clone().unwrap_or_default()),
            None => {
                let connection = Connection::read(&self.data)?.ok_or_else(|| {
                    NoDomain(format!(
                        "none runs on {} (--data names its folder)",
                        self.data.display()
                    ))
                })?;
                (connection.grpc, connection.token)
            }
        };
        let channel = transport::channel(&url).map_err(|_| NoDomain(format!("{url:?} is no URL")))?;
        let mut clients = Clients::new(&channel, &Credentials::new(&token));
        let described = clients
            .log
            .describe(DescribeRequest {})
            .await
            .map_err(Refusal::from);
        let described = described.map_err(|refusal| match refusal.code {
            Code::Unavailable => NoDomain(format!("{url}: {refusal}")).into(),
            _ => anyhow::Error::from(refusal),
        })?;
        let described = described.into_inner();
        Ok(Running {
            origin: described.origin.parse()?,
            head: described.head,
            clients,
            output: Output { json: self.json },
        })
    }
}

impl Running {
    /// A local actor by name or id; none means the domain's own.
    pub(crate) fn actor(&self, name: Option<&str>) -> String {
        match name {
            None => self.origin.base(),
            Some(id) if id.contains("://") => id.to_owned(),
            Some(name) => self.origin.actor(name),
        }
    }

    /// Publishes a draft and says where it went.
    pub(crate) async fn publish(
        &mut self,
        actor: &str,
        draft: &Value,
        key: &str,
    ) -> anyhow::Result<Published> {
        let request = PublishRequest {
            actor: actor.to_owned(),
            draft: serde_json::to_vec(draft)?.into(),
            idempotency_key: key.to_owned(),
            ..PublishRequest::default()
        };
        let answer = self.clients.log.publish(request).await.map_err(Refusal::from)?;
        Published::read(answer.into_inner())
    }
}

/// Where a draft went.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Published {
    pub(crate) id: String,
    pub(crate) cid: String,
    pub(crate) position: u64,
    /// The idempotency key was there before; nothing new was written.
    pub(crate) duplicate: bool,
}

impl Published {
    pub(crate) fn read(answer: PublishResponse) -> anyhow::Result<Self> {
        match answer.outcome {
            Some(Outcome::Appended(at)) => Ok(Self {
                id: at.activity_id,
                cid: at.cid,
                position: at.position,
                duplicate: false,
            }),
            Some(Outcome::Duplicate(at)) => Ok(Self {
                id: at.activity_id,
                cid: at.cid,
                position: at.position,
                duplicate: true,
            }),
            other => anyhow::bail!("the log answered {other:?}"),
        }
    }
}
