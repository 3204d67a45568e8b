//! A domain's settings: defaults, a file, the environment and flags.

mod flags;
mod internal;
mod keys;

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use fedsx_kernel::{definition::EffectKind, origin::Origin, snapshot::MAX_KEPT};
use fedsx_log::blob::{MAX_BLOB, MAX_MAX_BLOB};
use fedsx_projection::{flows::mail::Mailer, snapshot};
use fedsx_runtime::{
    fetch::Policy,
    telemetry,
    tls::{Protocol, ServerTls},
};
pub(crate) use flags::Flags;
use http::HeaderName;
pub(crate) use internal::Internal;
use jiff::SignedDuration;
use keys::Keys;
use url::Url;

use crate::drafts;

/// The keys of the public server's certificate.
const LISTEN_TLS: [&str; 2] = ["listen_tls_certificate", "listen_tls_key"];

/// A domain's settings, complete.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) origin: Origin,
    pub(crate) bundle: String,
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    /// Certificate and key of the public server, for those who serve it.
    listen_tls: Option<[PathBuf; 2]>,
    pub(crate) grpc_listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    /// None: SQLite in the data folder.
    pub(crate) database: Option<String>,
    /// None: a queue in memory.
    pub(crate) broker: Option<String>,
    /// None: the folder `blobs` in the data folder for a whole domain, and nowhere for a role.
    pub(crate) blobs: Option<String>,
    /// Of one blob. Bytes.
    pub(crate) blob_max_bytes: u64,
    /// When snapshots of the views are taken.
    pub(crate) snapshots: snapshot::Policy,
    /// What sends the mails of flows; none: nothing does here.
    pub(crate) mailer: Option<Mailer>,
    /// What a projection does in flows, of what it can.
    pub(crate) flow_effects: Vec<EffectKind>,
    /// How long flows that are over can be listed.
    pub(crate) flows_kept: SignedDuration,
    pub(crate) internal: Internal,
    pub(crate) replica: Option<String>,
    /// Base64; none: kept in the data folder.
    pub(crate) master_key: Option<String>,
    /// Where peers may be.
    pub(crate) peers: Policy,
    pub(crate) trusted_origins: Vec<Origin>,
    pub(crate) follows: Vec<String>,
    /// Whether types that are not known here are fetched.
    pub(crate) type_fetch: bool,
    /// Whether what names a type that cannot be had is refused.
    pub(crate) strict_object_schema: bool,
    /// Where a trusted proxy names the client.
    pub(crate) client_address_header: Option<HeaderName>,
    /// Whether the gateway limits rates; a benchmark lifts that, or it would measure the limit.
    pub(crate) limited: bool,
    /// Whether delivery sends; a benchmark of what happens before stops it.
    pub(crate) workers: bool,
    /// Jaeger's query service, which client commands are told of.
    pub(crate) jaeger: Option<String>,
    otlp: Option<String>,
    log: String,
    log_json: bool,
}

impl Settings {
    /// Reads the settings of `fedsx all` or of a role.
    pub(crate) fn load(flags: &Flags) -> anyhow::Result<Self> {
        Self::from_environment(flags, std::env::vars().collect())
    }

    pub(super) fn from_environment(
        flags: &Flags,
        environment: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        Self::check(Keys::read(flags, environment)?)
    }

    fn check(keys: Keys) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !keys.origin.is_empty(),
            "`origin` is missing: --origin http://127.0.0.1:8001"
        );
        let origin: Origin = keys.origin.parse().context("`origin`")?;
        anyhow::ensure!(
            (1..=MAX_MAX_BLOB).contains(&keys.blob_max_bytes),
            "`blob_max_bytes` is {}, not 1 to {MAX_MAX_BLOB}",
            keys.blob_max_bytes
        );
        anyhow::ensure!(
            (1..=MAX_KEPT).contains(&keys.snapshots_kept),
            "`snapshots_kept` is {}, not 1 to {MAX_KEPT}",
            keys.snapshots_kept
        );
        let listen = if keys.listen.is_empty() {
            default_listen(&origin)?
        } else {
            address("listen", &keys.listen)?
        };
        Ok(Self {
            listen,
            listen_tls: internal::both(LISTEN_TLS, &keys.listen_tls_certificate, &keys.listen_tls_key)?
                .map(|(certificate, key)| [certificate.to_owned(), key.to_owned()]),
            grpc_listen: address("grpc_listen", &keys.grpc_listen)?,
            admin_listen: address("admin_listen", &keys.admin_listen)?,
            internal: Internal::check(&keys)?,
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
            bundle: keys.bundle,
            data: keys.data,
            database: filled(keys.database),
            broker: filled(keys.broker),
            blobs: filled(keys.blobs),
            blob_max_bytes: keys.blob_max_bytes,
            snapshots: snapshot::Policy {
                every: keys.snapshot_every,
                kept: keys.snapshots_kept,
            },
            mailer: mailer(&keys.smtp, &keys.mail_from, &origin)?,
            flow_effects: effects(&keys.flow_effects)?,
            flows_kept: SignedDuration::from_hours(24 * i64::from(keys.flows_kept_days)),
            replica: filled(keys.replica),
            master_key: filled(keys.master_key),
            peers: Policy::new(keys.plain_peers)
                .context("`plain_peers`")?
                .resolving(keys.resolve)
                .context("`resolve`")?,
            type_fetch: keys.type_fetch,
            strict_object_schema: keys.strict_object_schema,
            limited: true,
            workers: true,
            jaeger: filled(keys.jaeger)
                .map(|url| jaeger_url(&url).context("`jaeger`").map(String::from))
                .transpose()?,
            otlp: filled(keys.otlp),
            log: keys.log,
            log_json: keys.log_json,
            origin,
        })
    }

    /// A domain on loopback that another command runs: the demo's, a benchmark's.
    pub(crate) fn embedded(origin: Origin, bundle: &str, data: PathBuf) -> anyhow::Result<Self> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Self {
            bundle: bundle.to_owned(),
            data,
            listen: default_listen(&origin)?,
            listen_tls: None,
            grpc_listen: loopback,
            admin_listen: loopback,
            database: None,
            broker: None,
            blobs: None,
            blob_max_bytes: MAX_BLOB,
            snapshots: snapshot::Policy::default(),
            internal: Internal::default(),
            mailer: None,
            flow_effects: EffectKind::all().collect(),
            flows_kept: SignedDuration::from_hours(24 * 30),
            replica: None,
            master_key: None,
            peers: Policy::new(["http://127.0.0.1:*".to_owned()])?,
            trusted_origins: Vec::new(),
            follows: Vec::new(),
            type_fetch: true,
            strict_object_schema: false,
            client_address_header: None,
            limited: true,
            workers: true,
            jaeger: None,
            otlp: None,
            log: String::new(),
            log_json: false,
            origin,
        })
    }

    /// What the public server shows, where it serves https.
    pub(crate) fn listen_tls(&self) -> anyhow::Result<Option<ServerTls>> {
        let Some([certificate, key]) = &self.listen_tls else {
            return Ok(None);
        };
        let shown = ServerTls::read(certificate, key, Protocol::Http1);
        let [certificate, key] = LISTEN_TLS;
        shown
            .map(Some)
            .with_context(|| format!("`{certificate}` and `{key}`"))
    }

    /// How a process of this part tells what it does: `log`, `gateway`, …, or `fedsx` for a whole domain.
    pub(crate) fn telemetry(&self, part: &str) -> telemetry::Settings {
        telemetry::Settings {
            otlp: self.otlp.clone(),
            service: format!("{part}@{}", self.origin.authority()),
            domain: self.origin.authority().to_owned(),
            instance: self.replica.clone().unwrap_or_default(),
            json: self.log_json,
            filter: self.log.clone(),
        }
    }
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A URL of Jaeger's query service, whatever path it is served under. The links to traces begin with it, and so it has nothing
/// that they would give away; nor has the error.
pub(crate) fn jaeger_url(text: &str) -> anyhow::Result<Url> {
    let is_sound = |url: &Url| {
        let is_bare = url.query().is_none() && url.fragment().is_none();
        let is_anonymous = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare && is_anonymous
    };
    let url = Url::parse(text).ok().filter(is_sound);
    url.context(
        "it is no URL of Jaeger, such as http://jaeger:16686, without user, password, query and fragment",
    )
}

/// What hands mails in at an SMTP server, from somebody; empty: nothing, and from nobody in person.
fn mailer(smtp: &str, from: &str, origin: &Origin) -> anyhow::Result<Option<Mailer>> {
    if smtp.is_empty() {
        return Ok(None);
    }
    let from = (!from.is_empty()).then_some(from);
    Ok(Some(Mailer::new(smtp, from, origin)?))
}

/// The kinds of effects with these words; none: all.
fn effects(words: &[String]) -> anyhow::Result<Vec<EffectKind>> {
    if words.is_empty() {
        return Ok(EffectKind::all().collect());
    }
    let kinds = words.iter().map(|word| {
        EffectKind::parse(word).with_context(|| {
            let known: Vec<_> = EffectKind::all().map(EffectKind::as_str).collect();
            format!(
                "`flow_effects` has {word:?}, which is none of {}",
                known.join(", ")
            )
        })
    });
    kinds.collect()
}

fn address(key: &str, text: &str) -> anyhow::Result<SocketAddr> {
    text.parse()
        .with_context(|| format!("`{key}` is {text:?}, not an address such as 127.0.0.1:8001"))
}

/// Loopback, at the origin's port where it names one.
fn default_listen(origin: &Origin) -> anyhow::Result<SocketAddr> {
    let port = Url::parse(origin.as_str())?.port().unwrap_or(8000);
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

    fn load(flags: &Flags, environment: &[(&str, &str)]) -> anyhow::Result<Settings> {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Settings::from_environment(flags, environment)
    }

    fn error(flags: &Flags, environment: &[(&str, &str)]) -> String {
        format!("{:#}", load(flags, environment).unwrap_err())
    }

    #[test]
    fn a_domain_listens_on_loopback_at_its_origins_port() {
        let settings = load(&flags(), &[]).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:8001".parse().unwrap());
    }

    #[test]
    fn a_blob_is_as_large_as_the_log_has_it_unless_it_is_said() {
        assert_eq!(load(&flags(), &[]).unwrap().blob_max_bytes, MAX_BLOB);
        assert_eq!(
            load(&flags(), &[]).unwrap().snapshots,
            snapshot::Policy::default()
        );
        let said = load(&flags(), &[("FEDSX_BLOB_MAX_BYTES", "1000")]).unwrap();
        assert_eq!(said.blob_max_bytes, 1000);
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
        assert!(error(&flags(), &[("FEDSX_SNAPSHOTS_KEPT", "17")]).contains("`snapshots_kept` is 17"));
        for url in [
            "jaeger:16686",
            "http://jaeger:16686/?secret",
            "http://jaeger:16686/#secret",
            "http://me:secret@jaeger:16686",
        ] {
            let problem = error(&flags(), &[("FEDSX_JAEGER", url)]);
            assert!(
                problem.contains("`jaeger`") && !problem.contains("secret"),
                "{problem}"
            );
        }
        assert!(error(&flags(), &[("FEDSX_BLOB_MAX_BYTES", "0")]).contains("`blob_max_bytes` is 0"));
        let smtp = ("FEDSX_SMTP", "smtp://blog:secret@mail.example");
        let problem = error(&flags(), &[smtp]);
        assert!(
            problem.starts_with("`smtp` ") && !problem.contains("secret"),
            "{problem}"
        );
        let from = [("FEDSX_SMTP", "smtp://mail.example"), ("FEDSX_MAIL_FROM", "blog")];
        assert!(error(&flags(), &from).starts_with("`mail_from` "));
        assert!(
            error(&flags(), &[("FEDSX_FLOW_EFFECTS", "emit,fax")]).contains("`flow_effects` has \"fax\"")
        );
        let tokens = [("FEDSX_TOKEN_GATEWAY", "x"), ("FEDSX_TOKEN_DELIVERY", "x")];
        assert!(error(&flags(), &tokens).contains("`token_gateway` and `token_delivery`"));
        assert!(error(&flags(), &[("FEDSX_TLS_KEY", "/k")]).contains("`tls_certificate`"));
        let alone = [("FEDSX_LISTEN_TLS_CERTIFICATE", "/c")];
        assert!(error(&flags(), &alone).contains("`listen_tls_key` is missing"));
        let peers = [(
            "FEDSX_RESOLVE",
            "a.example=http://a.svc:8000,b.example=http://b.svc/x",
        )];
        assert!(error(&flags(), &peers).starts_with("`resolve`: \"b.example\" has a service with a path"));
    }

    #[test]
    fn lists_of_the_environment_are_separated_by_commas() {
        let settings = load(&flags(), &[("FEDSX_LOG_URLS", "http://a:1,http://b:1")]).unwrap();
        assert_eq!(settings.internal.urls.log, ["http://a:1", "http://b:1"]);
    }

    #[test]
    fn the_client_commands_variables_are_no_keys() {
        let environment = [("FEDSX_TOKEN", "x"), ("FEDSX_LOG", "debug")];
        assert_eq!(load(&flags(), &environment).unwrap().log, "debug");
    }
}
