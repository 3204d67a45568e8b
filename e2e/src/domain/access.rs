//! The way to a domain's services.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use fedsx_proto::v1::{
    delivery_client::DeliveryClient, log_client::LogClient, projection_client::ProjectionClient,
};
use fedsx_runtime::{
    token::Credentials,
    transport::{Authorised, Channel, ClientTls, MAX_MESSAGE, Replicas},
};
use serde_json::Value;
use tonic::service::interceptor::InterceptedService;

use super::Domain;

/// How the services of a domain are found.
#[derive(Debug)]
pub(super) enum Access {
    /// By `connect.json` in the data folder of the process that runs them all, which writes it anew at each start.
    Folder(PathBuf),
    /// At URLs that stay theirs.
    Apart(Box<Services>),
}

/// Where the replicas of each service answer.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) log: Vec<String>,
    pub(crate) projection: Vec<String>,
    pub(crate) delivery: Vec<String>,
    /// The operator's.
    pub(crate) token: String,
    /// Whom they are trusted by where they are https, a PEM file.
    authority: Option<PathBuf>,
    // Connections are kept, as a client's are that runs for long.
    channels: OnceLock<Channels>,
}

impl Services {
    pub(crate) fn new(
        [log, projection, delivery]: [Vec<String>; 3],
        token: String,
        authority: Option<PathBuf>,
    ) -> Self {
        Self {
            log,
            projection,
            delivery,
            token,
            authority,
            channels: OnceLock::new(),
        }
    }

    fn connect(&self) -> Channels {
        let to = |urls: &[String]| channel(urls, self.authority.as_deref());
        Channels {
            log: to(&self.log),
            projection: to(&self.projection),
            delivery: to(&self.delivery),
            credentials: Credentials::new(&self.token),
        }
    }
}

#[derive(Debug, Clone)]
struct Channels {
    log: Channel,
    projection: Channel,
    delivery: Channel,
    credentials: Credentials,
}

/// What a process that runs a whole domain tells of itself.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) grpc: String,
    pub(crate) admin: String,
    pub(crate) token: String,
}

/// Reads `connect.json`.
pub(crate) fn connection(data: &Path) -> Result<Connection, String> {
    let path = data.join("connect.json");
    let file = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let told: Value =
        serde_json::from_slice(&file).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    Ok(Connection {
        grpc: text("grpc"),
        admin: text("admin"),
        token: text("token"),
    })
}

fn channel(urls: &[String], authority: Option<&Path>) -> Channel {
    let tls = authority.map(|authority| ClientTls::read(authority).expect("a PEM file"));
    Replicas::new(urls, tls).expect("URLs of services").into()
}

impl Access {
    fn channels(&self) -> Channels {
        match self {
            Self::Folder(data) => {
                let connection = connection(data).unwrap_or_else(|problem| panic!("{problem}"));
                let all = channel(&[connection.grpc], None);
                Channels {
                    log: all.clone(),
                    projection: all.clone(),
                    delivery: all,
                    credentials: Credentials::new(&connection.token),
                }
            }
            Self::Apart(services) => services.channels.get_or_init(|| services.connect()).clone(),
        }
    }

    /// Lets a client command find the domain.
    pub(super) fn tell(&self, command: &mut Command) {
        match self {
            Self::Folder(data) => {
                command.arg("--data").arg(data);
            }
            Self::Apart(services) => {
                command
                    .env("FEDSX_LOG_URLS", services.log.join(","))
                    .env("FEDSX_PROJECTION_URLS", services.projection.join(","))
                    .env("FEDSX_DELIVERY_URLS", services.delivery.join(","))
                    .env("FEDSX_TOKEN_OPERATOR", &services.token)
                    .envs(services.authority.iter().map(|path| ("FEDSX_TLS_CA", path)));
            }
        }
    }
}

impl Domain {
    pub(super) fn log_client(&self) -> LogClient<Authorised> {
        let Channels { log, credentials, .. } = self.access.channels();
        LogClient::new(InterceptedService::new(log, credentials)).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn delivery_client(&self) -> DeliveryClient<Authorised> {
        let Channels {
            delivery,
            credentials,
            ..
        } = self.access.channels();
        DeliveryClient::new(InterceptedService::new(delivery, credentials))
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn projection_client(&self) -> ProjectionClient<Authorised> {
        let Channels {
            projection,
            credentials,
            ..
        } = self.access.channels();
        ProjectionClient::new(InterceptedService::new(projection, credentials))
            .max_decoding_message_size(MAX_MESSAGE)
    }
}
