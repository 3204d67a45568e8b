//! The connections of each client.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// What one client holds of the network: an IPv4 address, or an IPv6 /64.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

/// Connections by client.
#[derive(Default, Clone)]
pub(super) struct Seats(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of a client's; given back when dropped.
pub(super) struct Seat {
    seats: Seats,
    client: IpAddr,
}

impl Seats {
    pub(super) fn take(&self, address: IpAddr, of_one_client: usize) -> Option<Seat> {
        let client = network(address);
        let mut taken = self.lock();
        let count = taken.entry(client).or_default();
        if *count >= of_one_client {
            return None;
        }
        *count += 1;
        Some(Seat {
            seats: self.clone(),
            client,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_ipv6_network_is_one_client() {
        let network = |address: &str| network(address.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:9.9.9.9"), network("9.9.9.9"));
    }

    #[test]
    fn a_client_without_connections_is_forgotten() {
        let seats = Seats::default();
        let client = "192.0.2.1".parse().unwrap();
        let seat = seats.take(client, 1);
        assert!(seats.take(client, 1).is_none());
        drop(seat);
        assert!(seats.lock().is_empty());
    }
}
