//! Ports that stay ours while nobody listens on them.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the ephemeral ports of Linux (32768) and macOS (49152): there, a connection under way to a stopped node could be
/// given the node's own port, and even meet itself.
const FIRST: u16 = 10_240;
const END: u16 = 32_000;

static NEXT: AtomicU16 = AtomicU16::new(FIRST);

/// A loopback port, reserved until it is dropped, also for test runs beside this one.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // The lock on the port's file is the reservation.
    _lock: File,
}

impl Port {
    /// Reserves a port that nobody listens on.
    pub fn reserve() -> Self {
        let folder = std::env::temp_dir().join("fedsx-e2e-ports");
        std::fs::create_dir_all(&folder).expect("a folder for the ports' locks");
        // Each is given once in a run; of runs side by side, each passes over what the other holds.
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            assert!(number < END, "no port between {FIRST} and {END} is free");
            let lock = File::create(folder.join(number.to_string())).expect("a lock file");
            if lock.try_lock().is_ok() && TcpListener::bind(address(number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port on loopback.
    pub fn address(&self) -> SocketAddr {
        address(self.number)
    }

    /// `http://127.0.0.1:<port>`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address())
    }
}

fn address(number: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_reservations_are_the_same() {
        let ports: Vec<_> = (0..20).map(|_| Port::reserve()).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
    }

    #[test]
    fn a_reservation_is_seen_by_others() {
        let port = Port::reserve();
        let path = std::env::temp_dir()
            .join("fedsx-e2e-ports")
            .join(port.number().to_string());
        let other = File::open(&path).unwrap();
        assert!(other.try_lock().is_err());
        drop(port);
        // A process that another test starts just now, or another run, may have it for a moment.
        other.lock().unwrap();
    }
}
