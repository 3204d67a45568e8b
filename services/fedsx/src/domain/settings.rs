//! A domain's settings: defaults, a file, the environment and flags.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use fedsx_kernel::origin::Origin;
use fedsx_runtime::{
    config::{Sources, load},
    telemetry,
};
use http::HeaderName;

use crate::drafts;

const DEFAULTS: &str = include_str!("../config.default.toml");

/// The flags of `fedsx all`. Each has a key of the same name in the configuration file and in the environment.
#[derive(Debug, Default, Clone, Args)]
#[command(
    after_help = "Every flag is also a key of the configuration file and of the environment: --plain-peer is \
                        `plain_peers` and FEDSX_PLAIN_PEERS. Flags win over the environment, and that over the file."
)]
pub(crate) struct Flags {
    /// Who the domain is, as peers reach it: http://127.0.0.1:8001
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// What it means: blog, events, or the path of a bundle's folder
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<String>,
    /// Where its state is kept [default: fedsx-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Where the HTTP server binds [default: loopback, at the origin's port, or 8000 where it names none]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where the internal gRPC server binds, for client commands [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    grpc_listen: Option<String>,
    /// A peer that may be plain http and at a private address, http://127.0.0.1:8002; its port may be *. Repeatable
    #[arg(long = "plain-peer", value_name = "ORIGIN")]
    plain_peers: Vec<String>,
    /// A peer whose traces this domain's spans join. Repeatable
    #[arg(long = "trusted-origin", value_name = "ORIGIN")]
    trusted_origins: Vec<String>,
    /// An actor that the domain follows, asking again until it accepts. Repeatable
    #[arg(long = "follow", value_name = "URL")]
    follows: Vec<String>,
    /// Export traces by OTLP over gRPC: http://127.0.0.1:4317
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Log directives: info, or warn,fedsx_delivery=debug
    #[arg(long, value_name = "DIRECTIVES")]
    log: Option<String>,
    /// Log one JSON object a line
    #[arg(long)]
    log_json: bool,
    /// A configuration file in TOML; `FEDSX_CONFIG` names one too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A domain's settings, complete.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) origin: Origin,
    pub(crate) bundle: String,
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) grpc_listen: SocketAddr,
    /// Base64; none: kept in the data folder.
    pub(crate) master_key: Option<String>,
    pub(crate) plain_peers: Vec<String>,
    pub(crate) trusted_origins: Vec<Origin>,
    pub(crate) follows: Vec<String>,
    /// Where a trusted proxy names the client.
    pub(crate) client_address_header: Option<HeaderName>,
    /// Whether the gateway limits rates; a benchmark lifts that, or it would measure the limit.
    pub(crate) limited: bool,
    otlp: Option<String>,
    log: String,
    log_json: bool,
}

/// The configuration's keys as they are written.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    origin: String,
    bundle: String,
    data: PathBuf,
    listen: String,
    grpc_listen: String,
    master_key: String,
    plain_peers: Vec<String>,
    trusted_origins: Vec<String>,
    follows: Vec<String>,
    client_address_header: String,
    otlp: String,
    log: String,
    log_json: bool,
}

/// Environment variables of other commands, which are no keys of a domain's configuration.
const NOT_KEYS: [&str; 4] = ["FEDSX_CONFIG", "FEDSX_CONNECT", "FEDSX_TOKEN", "FEDSX_DEMO_DATA"];

impl Settings {
    /// Reads the settings of `fedsx all`.
    pub(crate) fn load(flags: &Flags) -> anyhow::Result<Self> {
        Self::from_environment(flags, std::env::vars().collect())
    }

    fn from_environment(flags: &Flags, environment: Vec<(String, String)>) -> anyhow::Result<Self> {
        let named = environment
            .iter()
            .find(|(key, _)| key == "FEDSX_CONFIG")
            .map(|(_, path)| PathBuf::from(path));
        let file = flags.config.clone().or(named);
        let list = |items: &Vec<String>| (!items.is_empty()).then(|| items.clone().into());
        let keys: Keys = load(Sources {
            defaults: DEFAULTS,
            file: file.as_deref(),
            environment: environment
                .into_iter()
                .filter(|(key, _)| !NOT_KEYS.contains(&key.as_str()))
                .collect(),
            prefix: "FEDSX",
            lists: &["plain_peers", "trusted_origins", "follows"],
            overrides: vec![
                ("origin", flags.origin.clone().map(Into::into)),
                ("bundle", flags.bundle.clone().map(Into::into)),
                ("data", flags.data.clone().map(Into::into)),
                ("listen", flags.listen.clone().map(Into::into)),
                ("grpc_listen", flags.grpc_listen.clone().map(Into::into)),
                ("plain_peers", list(&flags.plain_peers)),
                ("trusted_origins", list(&flags.trusted_origins)),
                ("follows", list(&flags.follows)),
                ("otlp", flags.otlp.clone().map(Into::into)),
                ("log", flags.log.clone().map(Into::into)),
                ("log_json", flags.log_json.then_some(true).map(Into::into)),
            ],
        })
        .context("the configuration")?;
        Self::check(keys)
    }

    fn check(keys: Keys) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !keys.origin.is_empty(),
            "`origin` is missing: --origin http://127.0.0.1:8001"
        );
        anyhow::ensure!(!keys.bundle.is_empty(), "`bundle` is missing: --bundle blog");
        let origin: Origin = keys.origin.parse().context("`origin`")?;
        let listen = if keys.listen.is_empty() {
            default_listen(&origin)?
        } else {
            address("listen", &keys.listen)?
        };
        let filled = |text: String| (!text.is_empty()).then_some(text);
        Ok(Self {
            bundle: keys.bundle,
            data: keys.data,
            listen,
            grpc_listen: address("grpc_listen", &keys.grpc_listen)?,
            master_key: filled(keys.master_key),
            plain_peers: keys.plain_peers,
            trusted_origins: keys
                .trusted_origins
                .iter()
                .map(|origin| origin.parse().context("`trusted_origins`"))
                .collect::<Result<_, _>>()?,
            follows: keys
                .follows
                .iter()
                .map(|url| drafts::actor_id(url).context("`follows`"))
                .collect::<Result<_, _>>()?,
            client_address_header: filled(keys.client_address_header)
                .map(|name| {
                    name.parse()
                        .with_context(|| format!("`client_address_header` is {name:?}"))
                })
                .transpose()?,
            limited: true,
            otlp: filled(keys.otlp),
            log: keys.log,
            log_json: keys.log_json,
            origin,
        })
    }

    /// A domain on loopback that another command runs: the demo's, a benchmark's.
    pub(crate) fn embedded(origin: Origin, bundle: &str, data: PathBuf) -> anyhow::Result<Self> {
        Ok(Self {
            bundle: bundle.to_owned(),
            data,
            listen: default_listen(&origin)?,
            grpc_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            master_key: None,
            plain_peers: vec!["http://127.0.0.1:*".to_owned()],
            trusted_origins: Vec::new(),
            follows: Vec::new(),
            client_address_header: None,
            limited: true,
            otlp: None,
            log: String::new(),
            log_json: false,
            origin,
        })
    }

    pub(crate) fn telemetry(&self) -> telemetry::Settings {
        telemetry::Settings {
            otlp: self.otlp.clone(),
            service: format!("fedsx@{}", self.origin.authority()),
            json: self.log_json,
            filter: self.log.clone(),
        }
    }
}

fn address(key: &str, text: &str) -> anyhow::Result<SocketAddr> {
    text.parse()
        .with_context(|| format!("`{key}` is {text:?}, not an address such as 127.0.0.1:8001"))
}

/// Loopback, at the origin's port where it names one.
fn default_listen(origin: &Origin) -> anyhow::Result<SocketAddr> {
    let port = url::Url::parse(origin.as_str())?.port().unwrap_or(8000);
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags {
            origin: Some("http://127.0.0.1:8001".into()),
            bundle: Some("blog".into()),
            ..Flags::default()
        }
    }

    fn error(flags: &Flags, environment: &[(&str, &str)]) -> String {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        format!(
            "{:#}",
            Settings::from_environment(flags, environment).unwrap_err()
        )
    }

    #[test]
    fn a_domain_listens_on_loopback_at_its_origins_port() {
        let settings = Settings::from_environment(&flags(), vec![]).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:8001".parse().unwrap());
    }

    #[test]
    fn a_wrong_value_is_named_by_its_key() {
        assert!(error(&Flags::default(), &[]).contains("`origin` is missing"));
        assert!(error(&flags(), &[("FEDSX_ORIGN", "x")]).contains("orign"));
        let mut wrong = flags();
        wrong.listen = Some("8001".into());
        assert!(error(&wrong, &[]).contains("`listen` is \"8001\""));
        wrong = flags();
        wrong.origin = Some("blog.example".into());
        assert!(error(&wrong, &[]).contains("`origin`"));
    }

    #[test]
    fn the_client_commands_variables_are_no_keys() {
        let environment = vec![
            ("FEDSX_TOKEN".to_owned(), "x".to_owned()),
            ("FEDSX_LOG".to_owned(), "debug".to_owned()),
        ];
        assert_eq!(
            Settings::from_environment(&flags(), environment).unwrap().log,
            "debug"
        );
    }
}
