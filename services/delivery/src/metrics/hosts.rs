//! Hosts as labels: strangers choose them, so there is a limit to how many are told apart.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use fedsx_kernel::origin::Origin;

/// Hosts that are told apart in one life of the process.
const HOSTS: usize = 1_000;
/// The label of all others.
const OTHER: &str = "other";

/// The hosts that have a label of their own: those that came first. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts(Arc<RwLock<HashSet<String>>>);

impl Hosts {
    /// A host's label.
    pub(super) fn label<'a>(&self, origin: &'a Origin) -> &'a str {
        let host = origin.authority();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.contains(host) {
            return host;
        }
        if known.len() >= HOSTS {
            return OTHER;
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.contains(host) {
            return host;
        }
        if known.len() >= HOSTS {
            return OTHER;
        }
        known.insert(host.to_owned());
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_hosts_are_told_apart_and_others_are_not() {
        let origin = |number: usize| -> Origin { format!("https://{number}.example").parse().unwrap() };
        let hosts = Hosts::default();
        for number in 0..HOSTS {
            assert_eq!(hosts.label(&origin(number)), origin(number).authority());
        }
        assert_eq!(hosts.label(&origin(HOSTS)), OTHER);
        assert_eq!(hosts.label(&origin(7)), "7.example");
    }
}
