//! The flags of the commands that run a domain or one of its roles.

use std::path::PathBuf;

use clap::Args;
use config::Value;

/// Each has a key of the same name in the configuration file and in the environment.
#[derive(Debug, Default, Clone, Args)]
#[command(
    after_help = "Every flag is also a key of the configuration file and of the environment: --plain-peer is \
                  `plain_peers` and FEDSX_PLAIN_PEERS. Flags win over the environment, and that over the file. \
                  One set of them serves all roles: a role ignores what it has no use for. \
                  Secrets (tokens, the master key) have no flags: they would be seen in the list of processes."
)]
pub(crate) struct Flags {
    /// Who the domain is, as peers reach it: http://127.0.0.1:8001
    #[arg(long, value_name = "URL")]
    pub(super) origin: Option<String>,
    /// What it means: blog, events, or the path of a bundle's folder
    #[arg(long, value_name = "BUNDLE")]
    pub(super) bundle: Option<String>,
    /// Where `all` keeps its state [default: fedsx-data]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<String>,
    /// Where the public HTTP server binds [default: loopback, at the origin's port, or 8000 where it names none]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// PEM: the public HTTP server's certificate with its chain, to serve https [default: plain]
    #[arg(long, value_name = "FILE")]
    pub(super) listen_tls_certificate: Option<String>,
    /// PEM: its private key
    #[arg(long, value_name = "FILE")]
    pub(super) listen_tls_key: Option<String>,
    /// Where the internal gRPC server binds [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) grpc_listen: Option<String>,
    /// Where health and metrics answer [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin_listen: Option<String>,
    /// PostgreSQL: postgres://user@host/name [default in `all`: SQLite in --data]
    #[arg(long, value_name = "URL")]
    pub(super) database: Option<String>,
    /// RabbitMQ: amqp://user@host/vhost [default in `all`: a queue in memory]
    #[arg(long, value_name = "URL")]
    pub(super) broker: Option<String>,
    /// Where blobs lie: file:///folder or s3://bucket/prefix [default in `all`: a folder in --data]
    #[arg(long, value_name = "URL")]
    pub(super) blobs: Option<String>,
    /// The largest blob [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    pub(super) blob_max_bytes: Option<u64>,
    /// How many positions of the log lie between two snapshots of a view; 0: none is taken [default: 100000]
    #[arg(long, value_name = "POSITIONS")]
    pub(super) snapshot_every: Option<u64>,
    /// How many snapshots of a view are kept [default: 2]
    #[arg(long, value_name = "NUMBER")]
    pub(super) snapshots_kept: Option<u64>,
    /// Where the mails of flows are handed in: smtp://host:587?tls=required, smtps://host [default: nowhere]
    #[arg(long, value_name = "URL")]
    pub(super) smtp: Option<String>,
    /// Who they are from: Blog <blog@example.org> [default: no-reply at the origin's host]
    #[arg(long, value_name = "MAILBOX")]
    pub(super) mail_from: Option<String>,
    /// An effect that this process does in flows. Repeatable [default: all that it can]
    #[arg(long = "flow-effect", value_name = "EFFECT")]
    pub(super) flow_effects: Vec<String>,
    /// How long flows that are over can be listed [default: 30]
    #[arg(long, value_name = "DAYS")]
    pub(super) flows_kept_days: Option<u64>,
    /// Where the log answers: http://log:9000. Repeatable
    #[arg(long = "log-url", value_name = "URL")]
    pub(super) log_urls: Vec<String>,
    /// Where the projection answers. Repeatable
    #[arg(long = "projection-url", value_name = "URL")]
    pub(super) projection_urls: Vec<String>,
    /// Where delivery answers. Repeatable
    #[arg(long = "delivery-url", value_name = "URL")]
    pub(super) delivery_urls: Vec<String>,
    /// PEM: the internal gRPC server's certificate with its chain [default: plain]
    #[arg(long, value_name = "FILE")]
    pub(super) tls_certificate: Option<String>,
    /// PEM: its private key
    #[arg(long, value_name = "FILE")]
    pub(super) tls_key: Option<String>,
    /// PEM: the authority that is trusted where the URL of a service is https
    #[arg(long, value_name = "FILE")]
    pub(super) tls_ca: Option<String>,
    /// The process's name among its role's replicas: one that starts again under its name takes up what it held
    /// [default: the host's name and a random part]
    #[arg(long, value_name = "NAME")]
    pub(super) replica: Option<String>,
    /// Whether types that are not known here are fetched from the origin of who names them: true or false
    #[arg(long, value_name = "BOOL")]
    pub(super) type_fetch: Option<bool>,
    /// Refuse what names a type that cannot be had, instead of letting it pass unchecked
    #[arg(long)]
    pub(super) strict_object_schema: bool,
    /// The header in which a proxy names the client, x-forwarded-for; only where every request comes through one
    #[arg(long, value_name = "HEADER")]
    pub(super) client_address_header: Option<String>,
    /// A peer that may be plain http and at a private address, http://127.0.0.1:8002; its port may be *. Repeatable
    #[arg(long = "plain-peer", value_name = "ORIGIN")]
    pub(super) plain_peers: Vec<String>,
    /// A peer that is reached inside the cluster: events.example.org=http://events-gateway.events.svc:8000, or by TLS,
    /// events.example.org=https://events-gateway.events.svc:8443?ca=FILE. Repeatable
    #[arg(long = "resolve", value_name = "HOST=URL")]
    pub(super) resolve: Vec<String>,
    /// A peer whose traces this domain's spans join. Repeatable
    #[arg(long = "trusted-origin", value_name = "ORIGIN")]
    pub(super) trusted_origins: Vec<String>,
    /// An actor that the domain follows, asking again until it accepts. Repeatable
    #[arg(long = "follow", value_name = "URL")]
    pub(super) follows: Vec<String>,
    /// Export traces by OTLP over gRPC: http://127.0.0.1:4317
    #[arg(long, value_name = "URL")]
    pub(super) otlp: Option<String>,
    /// Where Jaeger shows them, for `fedsx trace`: http://127.0.0.1:16686
    #[arg(long, value_name = "URL")]
    pub(super) jaeger: Option<String>,
    /// Log directives: info, or warn,fedsx_delivery=debug
    #[arg(long, value_name = "DIRECTIVES")]
    pub(super) log: Option<String>,
    /// Log one JSON object a line
    #[arg(long)]
    pub(super) log_json: bool,
    /// A configuration file in TOML; `FEDSX_CONFIG` names one too
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl Flags {
    /// What they override, by key.
    pub(super) fn overrides(&self) -> Vec<(&'static str, Option<Value>)> {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let list = |items: &Vec<String>| (!items.is_empty()).then(|| items.clone().into());
        vec![
            ("origin", text(&self.origin)),
            ("bundle", text(&self.bundle)),
            ("data", text(&self.data)),
            ("listen", text(&self.listen)),
            ("listen_tls_certificate", text(&self.listen_tls_certificate)),
            ("listen_tls_key", text(&self.listen_tls_key)),
            ("grpc_listen", text(&self.grpc_listen)),
            ("admin_listen", text(&self.admin_listen)),
            ("database", text(&self.database)),
            ("broker", text(&self.broker)),
            ("blobs", text(&self.blobs)),
            ("blob_max_bytes", self.blob_max_bytes.map(Into::into)),
            ("snapshot_every", self.snapshot_every.map(Into::into)),
            ("snapshots_kept", self.snapshots_kept.map(Into::into)),
            ("smtp", text(&self.smtp)),
            ("mail_from", text(&self.mail_from)),
            ("flow_effects", list(&self.flow_effects)),
            ("flows_kept_days", self.flows_kept_days.map(Into::into)),
            ("log_urls", list(&self.log_urls)),
            ("projection_urls", list(&self.projection_urls)),
            ("delivery_urls", list(&self.delivery_urls)),
            ("tls_certificate", text(&self.tls_certificate)),
            ("tls_key", text(&self.tls_key)),
            ("tls_ca", text(&self.tls_ca)),
            ("replica", text(&self.replica)),
            ("type_fetch", self.type_fetch.map(Into::into)),
            (
                "strict_object_schema",
                self.strict_object_schema.then_some(true).map(Into::into),
            ),
            ("client_address_header", text(&self.client_address_header)),
            ("plain_peers", list(&self.plain_peers)),
            ("resolve", list(&self.resolve)),
            ("trusted_origins", list(&self.trusted_origins)),
            ("follows", list(&self.follows)),
            ("otlp", text(&self.otlp)),
            ("jaeger", text(&self.jaeger)),
            ("log", text(&self.log)),
            ("log_json", self.log_json.then_some(true).map(Into::into)),
        ]
    }
}
