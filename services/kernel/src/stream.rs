//! Names of streams, the ordered runs of a domain's log.

use std::fmt;

/// `outbox/<local actor>`, `inbox/<remote actor>`, `flow/<id>` or `domain`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// What a local actor published. Its id.
    Outbox(String),
    /// What this domain accepted from a remote actor. Its id.
    Inbox(String),
    /// One run of a behaviour.
    Flow(String),
    /// What operators and delivery decided.
    Domain,
}

impl Stream {
    /// Parses a stream's name; none where it names no kind of stream, or no actor.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "domain" {
            return Some(Self::Domain);
        }
        let (kind, rest) = name.split_once('/').filter(|(_, rest)| !rest.is_empty())?;
        match kind {
            "outbox" => Some(Self::Outbox(rest.to_owned())),
            "inbox" => Some(Self::Inbox(rest.to_owned())),
            "flow" => Some(Self::Flow(rest.to_owned())),
            _ => None,
        }
    }
}
impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outbox(actor) => write!(f, "outbox/{actor}"),
            Self::Inbox(actor) => write!(f, "inbox/{actor}"),
            Self::Flow(id) => write!(f, "flow/{id}"),
            Self::Domain => f.write_str("domain"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let streams = [
            Stream::Outbox("https://blog.example/".to_owned()),
            Stream::Inbox("https://events.example/actors/bob".to_owned()),
            Stream::Flow("abc".to_owned()),
            Stream::Domain,
        ];
        for stream in streams {
            assert_eq!(Stream::parse(&stream.to_string()), Some(stream));
        }
    }

    #[test]
    fn other_names_are_no_streams() {
        for name in [
            "", "outbox", "outbox/", "inbox/", "flow/", "domain/", "domain/x", "Outbox/a", "drafts/a", "/a",
        ] {
            assert_eq!(Stream::parse(name), None, "{name}");
        }
    }
}
