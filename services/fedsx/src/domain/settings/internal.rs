//! How the services of a domain reach each other: URLs, tokens, TLS.

use std::{collections::HashMap, path::Path};

use anyhow::Context as _;
use fedsx_runtime::{
    tls::{Protocol, ServerTls},
    token::{Role, Tokens},
    transport::{Channel, ClientTls, Replicas},
};

use super::Keys;

/// Where the services answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Urls {
    pub(crate) log: Vec<String>,
    pub(crate) projection: Vec<String>,
    pub(crate) delivery: Vec<String>,
}

/// What joins the services.
#[derive(Debug, Clone)]
pub(crate) struct Internal {
    pub(crate) urls: Urls,
    /// Those that are configured.
    pub(crate) tokens: Tokens,
    pub(crate) server_tls: Option<ServerTls>,
    client_tls: Option<ClientTls>,
}

impl Default for Internal {
    fn default() -> Self {
        Self {
            urls: Urls::default(),
            tokens: Tokens::new(HashMap::new()),
            server_tls: None,
            client_tls: None,
        }
    }
}

impl Internal {
    pub(super) fn check(keys: &Keys) -> anyhow::Result<Self> {
        Ok(Self {
            urls: Urls {
                log: keys.log_urls.clone(),
                projection: keys.projection_urls.clone(),
                delivery: keys.delivery_urls.clone(),
            },
            tokens: tokens(keys)?,
            server_tls: server_tls(&keys.tls_certificate, &keys.tls_key)?,
            client_tls: filled(&keys.tls_ca)
                .map(ClientTls::read)
                .transpose()
                .context("`tls_ca`")?,
        })
    }

    /// The way to a service; `key` is where its URLs are configured.
    pub(crate) fn channel(&self, key: &str, urls: &[String]) -> anyhow::Result<Channel> {
        anyhow::ensure!(
            !urls.is_empty(),
            "`{key}` is missing: where the service answers, http://127.0.0.1:9000"
        );
        let replicas = Replicas::new(urls, self.client_tls.clone()).with_context(|| format!("`{key}`"))?;
        Ok(replicas.into())
    }
}

/// Two roles with one token could not be told apart.
fn tokens(keys: &Keys) -> anyhow::Result<Tokens> {
    let configured = [
        (Role::Gateway, &keys.token_gateway),
        (Role::Projection, &keys.token_projection),
        (Role::Delivery, &keys.token_delivery),
        (Role::Site, &keys.token_site),
        (Role::Operator, &keys.token_operator),
    ];
    let mut tokens = HashMap::new();
    let mut seen = HashMap::new();
    for (role, token) in configured.into_iter().filter(|(_, token)| !token.is_empty()) {
        if let Some(other) = seen.insert(token, role) {
            anyhow::bail!(
                "`token_{}` and `token_{}` are the same",
                Role::as_str(other),
                role.as_str()
            );
        }
        tokens.insert(role, token.clone());
    }
    Ok(Tokens::new(tokens))
}

fn server_tls(certificate: &Path, key: &Path) -> anyhow::Result<Option<ServerTls>> {
    let Some((certificate, key)) = both(["tls_certificate", "tls_key"], certificate, key)? else {
        return Ok(None);
    };
    let shown = ServerTls::read(certificate, key, Protocol::Grpc);
    shown.map(Some).context("`tls_certificate` and `tls_key`")
}

/// A certificate and its key, of which neither is of use alone. They are configured by these keys.
pub(super) fn both<'f>(
    [certificate_at, key_at]: [&str; 2],
    certificate: &'f Path,
    key: &'f Path,
) -> anyhow::Result<Option<(&'f Path, &'f Path)>> {
    match (filled(certificate), filled(key)) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, Some(_)) => anyhow::bail!("`{certificate_at}` is missing beside `{key_at}`"),
        (Some(_), None) => anyhow::bail!("`{key_at}` is missing beside `{certificate_at}`"),
    }
}

fn filled(path: &Path) -> Option<&Path> {
    (!path.as_os_str().is_empty()).then_some(path)
}
