//! Finding the domain that a command is for.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use fedsx_kernel::{activity::Activity, origin::Origin, stream::Stream};
use fedsx_proto::v1::{AppendRequest, DescribeRequest, Expected, NewEntry, append_response, expected::Kind};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::Credentials,
    transport::{Channel, ClientTls, Replicas},
};
use serde_json::Value;

use super::output::Output;
use crate::{
    asked::{self, Published},
    domain::{Clients, Connection},
};

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
    /// A server that all its services answer at instead, with --token
    #[arg(long, env = "FEDSX_CONNECT", value_name = "URL", global = true)]
    connect: Option<String>,
    /// Where its log answers, where its roles run apart. Repeatable
    #[arg(
        long = "log-url",
        env = "FEDSX_LOG_URLS",
        value_delimiter = ',',
        value_name = "URL",
        global = true,
        hide_short_help = true
    )]
    log_urls: Vec<String>,
    /// Where its projection answers
    #[arg(
        long = "projection-url",
        env = "FEDSX_PROJECTION_URLS",
        value_delimiter = ',',
        value_name = "URL",
        global = true,
        hide_short_help = true
    )]
    projection_urls: Vec<String>,
    /// Where its delivery answers
    #[arg(
        long = "delivery-url",
        env = "FEDSX_DELIVERY_URLS",
        value_delimiter = ',',
        value_name = "URL",
        global = true,
        hide_short_help = true
    )]
    delivery_urls: Vec<String>,
    /// The authority that these are trusted by where they are https, a PEM file
    #[arg(
        long,
        env = "FEDSX_TLS_CA",
        value_name = "FILE",
        global = true,
        hide_short_help = true
    )]
    tls_ca: Option<PathBuf>,
    /// The operator's token [env: FEDSX_TOKEN, or FEDSX_TOKEN_OPERATOR]
    #[arg(
        long,
        env = "FEDSX_TOKEN",
        value_name = "TOKEN",
        hide_env = true,
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
        let (place, mut clients) = self.clients()?;
        let described = clients.log.describe(DescribeRequest {}).await;
        let described = described
            .map_err(Refusal::from)
            .map_err(|refusal| match refusal.code {
                Code::Unavailable => NoDomain(format!("{place}: {refusal}")).into(),
                _ => anyhow::Error::from(refusal),
            })?;
        let described = described.into_inner();
        Ok(Running {
            origin: described.origin.parse()?,
            head: described.head,
            clients,
            output: self.output(),
        })
    }

    /// How to print.
    pub(crate) const fn output(&self) -> Output {
        Output { json: self.json }
    }

    /// Where the traces of the domain are looked at, where it runs in one process and was told so.
    pub(crate) fn jaeger(&self) -> anyhow::Result<Option<String>> {
        if self.connect.is_some() || self.apart().iter().any(|urls| !urls.is_empty()) {
            return Ok(None);
        }
        Ok(Connection::read(&self.data)?.and_then(|connection| connection.jaeger))
    }

    /// Where its log, projection and delivery answer, where they run apart.
    fn apart(&self) -> [&[String]; 3] {
        [&self.log_urls, &self.projection_urls, &self.delivery_urls].map(Vec::as_slice)
    }

    /// Clients of the domain, and the place they were made for.
    fn clients(&self) -> anyhow::Result<(String, Clients)> {
        let apart = self.apart();
        if let Some(url) = &self.connect {
            return self.at([std::slice::from_ref(url); 3], &self.token());
        }
        if apart.iter().any(|urls| !urls.is_empty()) {
            return self.at(apart, &self.token());
        }
        let connection = Connection::read(&self.data)?.ok_or_else(|| {
            NoDomain(format!(
                "none runs on {} (--data names its folder)",
                self.data.display()
            ))
        })?;
        let url = std::slice::from_ref(&connection.grpc);
        self.at([url; 3], &connection.token)
    }

    fn token(&self) -> String {
        let own = || std::env::var("FEDSX_TOKEN_OPERATOR").ok();
        self.token.clone().or_else(own).unwrap_or_default()
    }

    /// Clients of the services at these URLs: log, projection, delivery. One that has none answers every call so.
    fn at(&self, urls: [&[String]; 3], token: &str) -> anyhow::Result<(String, Clients)> {
        let tls = match self.tls_ca.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => Some(ClientTls::read(path).context("--tls-ca")?),
            None => None,
        };
        let to = |urls: &[String]| Replicas::new(urls, tls.clone()).map(Channel::from);
        let [log, projection, delivery] = urls;
        let (log_at, projection_at, delivery_at) = (to(log)?, to(projection)?, to(delivery)?);
        let clients = Clients::new(log_at, projection_at, delivery_at, &Credentials::new(token));
        Ok((log.join(", "), clients))
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

    /// Appends an operator's decision to the stream `domain`, answering its position.
    pub(crate) async fn decide(&mut self, decision: &Activity) -> anyhow::Result<u64> {
        let body = serde_json::to_vec(decision.document())?;
        let request = AppendRequest {
            stream: Stream::Domain.to_string(),
            expected: Some(Expected {
                kind: Some(Kind::Any(true)),
            }),
            entries: vec![NewEntry {
                body: body.into(),
                meta: None,
            }],
            kv: Vec::new(),
        };
        let answer = self.clients.log.append(request).await.map_err(Refusal::from)?;
        match answer.into_inner().outcome {
            Some(append_response::Outcome::Appended(at)) => Ok(at.position),
            Some(append_response::Outcome::Duplicate(at)) => Ok(at.position),
            other => anyhow::bail!("the log answered {other:?}"),
        }
    }

    /// Publishes a draft and says where it went.
    pub(crate) async fn publish(
        &mut self,
        actor: &str,
        draft: &Value,
        key: &str,
    ) -> anyhow::Result<Published> {
        asked::publish(&self.clients, actor, key, draft).await
    }
}
