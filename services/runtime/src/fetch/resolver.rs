//! Name resolution that yields no inner addresses.

use std::{net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{
    address::is_public,
    policy::{Policy, PolicyError},
};

/// Resolves names as the system does, and leaves out what [`is_public`] refuses, so that a name cannot be rebound to an
/// inner address between the check and the connection.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    policy: Arc<Policy>,
}

impl GuardedResolver {
    pub(super) fn new(policy: Arc<Policy>) -> Self {
        Self { policy }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let admitted: Vec<SocketAddr> = found
                .into_iter()
                .filter(|addr| policy.lists_host(&host) || is_public(addr.ip()))
                .collect();
            if admitted.is_empty() {
                return Err(PolicyError::PrivateAddress(host).into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}
