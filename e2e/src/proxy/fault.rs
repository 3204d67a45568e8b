//! What a proxy does.

use std::time::Duration;

/// What happens to those who come to a peer.
#[derive(Debug, Clone, Default)]
pub enum Fault {
    /// Nothing: all is passed on.
    #[default]
    None,
    /// Every answer is late by so much.
    Latency(Duration),
    /// Every connection is reset.
    Reset,
    /// Connections are taken, and nothing is ever answered.
    BlackHole,
    /// Every POST is answered so, and never reaches the peer.
    Posts(Canned),
    /// Every request is.
    All(Canned),
    /// Every answer comes byte by byte, with such a pause before each.
    Drip(Duration),
}

/// A status and headers.
#[derive(Debug, Clone)]
pub struct Canned {
    pub status: u16,
    pub header: (&'static str, String),
}

impl Fault {
    /// POSTs are answered 429 with `Retry-After`, in seconds.
    pub fn slow_down(seconds: u32) -> Self {
        Self::Posts(Canned {
            status: 429,
            header: ("retry-after", seconds.to_string()),
        })
    }

    /// POSTs are answered 307 to another address.
    pub fn redirect(to: &str) -> Self {
        Self::Posts(redirect(to))
    }

    /// Every request is.
    pub fn redirect_all(to: &str) -> Self {
        Self::All(redirect(to))
    }
}

fn redirect(to: &str) -> Canned {
    Canned {
        status: 307,
        header: ("location", to.to_owned()),
    }
}
