//! What a deployment is to be.

use std::collections::BTreeMap;

use fedsx_runtime::{
    keyring::MasterKey,
    token::{Role, Tokens},
};
use fedsx_testing::{Port, postgres::Database, rabbitmq::Vhost, s3};

use super::{Balancer, Deployment, Replica};
use crate::{Certificate, Domain, domain::Services};

/// The roles of a domain, in the order in which it is drawn.
const ROLES: [Role; 4] = [Role::Log, Role::Gateway, Role::Projection, Role::Delivery];

/// How many replicas of each role, and their settings.
#[derive(Debug)]
pub struct Plan {
    bundle: &'static str,
    origin: Port,
    replicas: BTreeMap<Role, usize>,
    settings: Vec<(String, String)>,
    tls: bool,
}

/// The settings of one process, as its environment.
type Environment = Vec<(String, String)>;

impl Plan {
    /// One replica of each role, for a bundle: `blog`, `events`.
    pub fn of(bundle: &'static str) -> Self {
        Self {
            bundle,
            origin: Port::reserve(),
            replicas: ROLES.map(|role| (role, 1)).into(),
            settings: Vec::new(),
            tls: false,
        }
    }

    /// So many replicas of a role.
    #[must_use]
    pub fn replicas(mut self, role: Role, count: usize) -> Self {
        self.replicas.insert(role, count);
        self
    }

    /// One more setting for every role, by its key: `otlp`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((variable(key), value.to_owned()));
        self
    }

    /// The log's replicas keep blobs in the bucket of this server.
    #[must_use]
    pub fn with_blobs(mut self, server: &s3::Server) -> Self {
        let of_bucket = server
            .environment()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.settings.extend(of_bucket);
        let place = format!("s3://{}/{}", s3::Server::BUCKET, self.bundle);
        self.set("blobs", &place)
    }

    /// Internal calls go over TLS, by an authority of its own.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The origin that the domain will have.
    pub fn origin(&self) -> String {
        self.origin.origin()
    }

    /// Starts it on a database and a vhost of the shared servers.
    pub async fn started(self) -> Deployment {
        let (database, vhost) = tokio::join!(Database::create(), Vhost::create());
        self.started_on(database, vhost).await
    }

    /// Starts it on these.
    pub async fn started_on(self, database: Database, vhost: Vhost) -> Deployment {
        let mut deployment = self.stopped_on(database, vhost).await;
        deployment.start().await;
        deployment
    }

    /// A deployment none of whose processes runs yet.
    pub async fn stopped_on(self, database: Database, vhost: Vhost) -> Deployment {
        let folder = tempfile::Builder::new()
            .prefix("fedsx-e2e-")
            .tempdir()
            .expect("a folder");
        let tls = self.tls.then(|| Certificate::write(folder.path(), "127.0.0.1"));
        let scheme = if self.tls { "https" } else { "http" };
        let tokens = Tokens::generate();
        let mut ports: BTreeMap<Role, Vec<Port>> = BTreeMap::new();
        for (role, count) in &self.replicas {
            ports.insert(*role, (0..*count).map(|_| Port::reserve()).collect());
        }
        let url = |port: &Port| format!("{scheme}://{}", port.address());
        let urls = |role| ports[&role].iter().map(url).collect::<Vec<_>>();
        let [log, projection, delivery] = [Role::Log, Role::Projection, Role::Delivery].map(urls);
        let gateways = ports[&Role::Gateway].iter().map(Port::address).collect();
        let origin = self.origin.origin();
        let place = Place {
            database: database.url(),
            vhost: vhost.url(),
            urls: [
                ("log_urls", log.join(",")),
                ("projection_urls", projection.join(",")),
                ("delivery_urls", delivery.join(",")),
            ],
            tokens: &tokens,
            tls: tls.as_ref(),
            master_key: MasterKey::generate().to_string(),
        };
        let mut replicas = Vec::new();
        for role in ROLES {
            let environment = self.environment(role, &place);
            let of_role = ports.remove(&role).into_iter().flatten().enumerate();
            replicas.extend(of_role.map(|(number, port)| {
                Replica::new(role, number, &origin, port, environment.clone(), folder.path())
            }));
        }
        let operator = tokens.of(Role::Operator).unwrap_or_default().to_owned();
        Deployment {
            domain: Domain::apart(
                &origin,
                Services::new(
                    [log, projection, delivery],
                    operator,
                    tls.map(|tls| tls.authority),
                ),
            ),
            replicas,
            tokens,
            _balancer: Balancer::start(self.origin, gateways).await,
            _folder: folder,
            database,
            vhost,
        }
    }

    /// What a role needs to know, and no more.
    fn environment(&self, role: Role, place: &Place<'_>) -> Environment {
        let mut settings = vec![
            ("origin", self.origin()),
            ("plain_peers", "http://127.0.0.1:*".to_owned()),
        ];
        let [log_urls, projection_urls, _] = place.urls.clone();
        settings.extend(place.tls.iter().flat_map(|tls| by_tls(tls)));
        let tokens = |roles: &[Role]| -> Vec<_> {
            let token = |role: &Role| place.tokens.of(*role).unwrap_or_default().to_owned();
            roles.iter().map(|role| (token_of(*role), token(role))).collect()
        };
        let database = ("database", place.database.to_owned());
        let master_key = ("master_key", place.master_key.clone());
        match role {
            Role::Gateway => {
                settings.extend([log_urls, projection_urls]);
                settings.extend(tokens(&[Role::Gateway]));
            }
            Role::Projection => {
                settings.extend([database, log_urls]);
                settings.extend(tokens(&[Role::Projection, Role::Gateway, Role::Operator]));
            }
            Role::Delivery => {
                settings.extend([database, ("broker", place.vhost.to_owned()), master_key, log_urls]);
                settings.extend(tokens(&[Role::Delivery, Role::Operator]));
            }
            _ => {
                settings.extend([("bundle", self.bundle.to_owned()), database, master_key]);
                settings.extend(tokens(&[
                    Role::Gateway,
                    Role::Projection,
                    Role::Delivery,
                    Role::Operator,
                ]));
            }
        }
        let settings = settings.into_iter().map(|(key, value)| (variable(key), value));
        settings.chain(self.settings.iter().cloned()).collect()
    }
}

/// Where the roles find each other and their servers.
struct Place<'a> {
    database: &'a str,
    vhost: &'a str,
    urls: [(&'static str, String); 3],
    tokens: &'a Tokens,
    tls: Option<&'a Certificate>,
    master_key: String,
}

/// What every role of a deployment is told whose internal calls go over TLS.
fn by_tls(files: &Certificate) -> [(&'static str, String); 3] {
    [
        ("tls_certificate", &files.certificate),
        ("tls_key", &files.key),
        ("tls_ca", &files.authority),
    ]
    .map(|(key, path)| (key, path.display().to_string()))
}

const fn token_of(role: Role) -> &'static str {
    match role {
        Role::Gateway => "token_gateway",
        Role::Projection => "token_projection",
        Role::Delivery => "token_delivery",
        _ => "token_operator",
    }
}

fn variable(key: &str) -> String {
    format!("FEDSX_{}", key.to_uppercase())
}
