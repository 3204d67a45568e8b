//! The configuration's keys as they are written.

use std::path::PathBuf;

use anyhow::Context as _;
use fedsx_runtime::config::{Sources, load};

use super::Flags;

const DEFAULTS: &str = include_str!("../../config.default.toml");

/// Keys that hold lists.
const LISTS: [&str; 8] = [
    "flow_effects",
    "log_urls",
    "projection_urls",
    "delivery_urls",
    "plain_peers",
    "resolve",
    "trusted_origins",
    "follows",
];

/// Environment variables of other commands, which are no keys of a domain's configuration.
const NOT_KEYS: [&str; 4] = ["FEDSX_CONFIG", "FEDSX_CONNECT", "FEDSX_TOKEN", "FEDSX_DEMO_DATA"];

/// Those of the tests' servers and of benchmarks begin with these.
const FOREIGN: [&str; 2] = ["FEDSX_TEST_", "FEDSX_BENCH_"];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) origin: String,
    pub(super) bundle: String,
    pub(super) data: PathBuf,
    pub(super) listen: String,
    pub(super) listen_tls_certificate: PathBuf,
    pub(super) listen_tls_key: PathBuf,
    pub(super) grpc_listen: String,
    pub(super) admin_listen: String,
    pub(super) database: String,
    pub(super) broker: String,
    pub(super) blobs: String,
    pub(super) blob_max_bytes: u64,
    pub(super) snapshot_every: u64,
    pub(super) snapshots_kept: usize,
    pub(super) smtp: String,
    pub(super) mail_from: String,
    pub(super) flow_effects: Vec<String>,
    pub(super) flows_kept_days: u16,
    pub(super) log_urls: Vec<String>,
    pub(super) projection_urls: Vec<String>,
    pub(super) delivery_urls: Vec<String>,
    pub(super) token_gateway: String,
    pub(super) token_projection: String,
    pub(super) token_delivery: String,
    pub(super) token_site: String,
    pub(super) token_operator: String,
    pub(super) tls_certificate: PathBuf,
    pub(super) tls_key: PathBuf,
    pub(super) tls_ca: PathBuf,
    pub(super) replica: String,
    pub(super) master_key: String,
    pub(super) plain_peers: Vec<String>,
    pub(super) resolve: Vec<String>,
    pub(super) trusted_origins: Vec<String>,
    pub(super) follows: Vec<String>,
    pub(super) type_fetch: bool,
    pub(super) strict_object_schema: bool,
    pub(super) client_address_header: String,
    pub(super) otlp: String,
    pub(super) jaeger: String,
    pub(super) log: String,
    pub(super) log_json: bool,
}

impl Keys {
    pub(super) fn read(flags: &Flags, environment: Vec<(String, String)>) -> anyhow::Result<Self> {
        let named = environment
            .iter()
            .find(|(key, _)| key == "FEDSX_CONFIG")
            .map(|(_, path)| PathBuf::from(path));
        let file = flags.config.clone().or(named);
        let environment = environment.into_iter().filter(|(name, _)| is_key(name)).collect();
        load(Sources {
            defaults: DEFAULTS,
            file: file.as_deref(),
            environment,
            prefix: "FEDSX",
            lists: &LISTS,
            overrides: flags.overrides(),
        })
        .context("the configuration")
    }
}

fn is_key(name: &str) -> bool {
    let is_foreign = FOREIGN.iter().any(|prefix| name.starts_with(prefix));
    !is_foreign && !NOT_KEYS.contains(&name) && !tells_of_a_service(name)
}

/// Kubernetes tells every container of a namespace of every Service in it, `FEDSX_LOG_SERVICE_HOST` and
/// `FEDSX_LOG_PORT_9000_TCP_ADDR` of one that is called `fedsx-log`.
fn tells_of_a_service(name: &str) -> bool {
    let (_, port) = name.rsplit_once("_PORT").unwrap_or_default();
    let is_port =
        name.ends_with("_PORT") || port.starts_with('_') && (port.contains("_TCP") || port.contains("_UDP"));
    is_port || name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_set_is_no_key() {
        for name in [
            "FEDSX_TOKEN",
            "FEDSX_BENCH_DATABASE",
            "FEDSX_TEST_POSTGRES",
            "FEDSX_LOG_SERVICE_HOST",
            "FEDSX_LOG_SERVICE_PORT",
            "FEDSX_LOG_SERVICE_PORT_GRPC",
            "FEDSX_LOG_PORT",
            "FEDSX_LOG_PORT_9000_TCP",
            "FEDSX_LOG_PORT_9000_TCP_ADDR",
        ] {
            assert!(!is_key(name), "{name}");
        }
        for name in [
            "FEDSX_ORIGIN",
            "FEDSX_ORIGN",
            "FEDSX_TOKEN_SITE",
            "FEDSX_LOG_URLS",
        ] {
            assert!(is_key(name), "{name}");
        }
    }
}
