//! A domain whose roles are processes of their own.

mod balancer;
mod plan;
mod replica;

use std::ops::Deref;

use fedsx_runtime::token::{Role, Tokens};
use fedsx_testing::{postgres::Database, rabbitmq::Vhost};
use futures::future::join_all;
use tempfile::TempDir;

use crate::Domain;
use balancer::Balancer;
pub use plan::Plan;
pub use replica::Replica;

/// A domain of separate processes, any number of each role, on one database and one vhost. Its gateways share its origin
/// by a balancer.
#[derive(Debug)]
pub struct Deployment {
    domain: Domain,
    replicas: Vec<Replica>,
    tokens: Tokens,
    _balancer: Balancer,
    // These go after the processes that use them.
    _folder: TempDir,
    database: Database,
    vhost: Vhost,
}

impl Deployment {
    /// A running blog of one replica a role; its bundle has the actor `author`.
    pub async fn blog() -> Self {
        Plan::of("blog").started().await
    }

    /// One replica of a role, by its number from 0.
    pub fn replica(&mut self, role: Role, number: usize) -> &mut Replica {
        let mut of_role = self.replicas.iter_mut().filter(|replica| replica.role() == role);
        of_role
            .nth(number)
            .unwrap_or_else(|| panic!("no {} {number}", role.as_str()))
    }

    /// Every replica, in the order in which a domain is drawn: log, gateway, projection, delivery.
    pub fn replicas(&mut self) -> &mut [Replica] {
        &mut self.replicas
    }

    /// Starts every replica that does not run, all at once, and waits until they are ready.
    pub async fn start(&mut self) {
        let stopped = self.replicas.iter_mut().filter(|replica| !replica.runs());
        join_all(stopped.map(Replica::start)).await;
    }

    /// Waits until every replica is ready.
    pub async fn ready(&mut self) {
        join_all(self.replicas.iter_mut().map(Replica::ready)).await;
    }

    /// What a role shows to the services it calls.
    pub fn token(&self, role: Role) -> &str {
        self.tokens.of(role).expect("a role that calls others")
    }

    /// The database that its services share.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The vhost that its delivery uses.
    pub fn vhost(&self) -> &Vhost {
        &self.vhost
    }
}

impl Deref for Deployment {
    type Target = Domain;

    fn deref(&self) -> &Domain {
        &self.domain
    }
}
