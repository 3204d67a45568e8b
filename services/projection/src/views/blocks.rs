//! `blocks`: the peers that operators have blocked. Key: the peer's origin.

use fedsx_kernel::{follow::Event, stream::Stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{FoldError, Touched, View, write};
use crate::entry::Entry;

#[derive(Debug)]
pub(super) struct Blocks;

#[derive(Debug, Serialize)]
struct Block {
    /// The time of the entry.
    since: Timestamp,
}

impl View for Blocks {
    fn listens(&self, stream: &Stream, verb: &str) -> bool {
        matches!((stream, verb), (Stream::Domain, "Block" | "Undo"))
    }

    fn touches(&self, entry: &Entry) -> Touched {
        match &entry.event {
            Some(Event::Block { origin } | Event::Unblock { origin }) => Touched::key(origin.as_str()),
            _ => Touched::Nothing,
        }
    }

    fn fold(&self, _key: &str, state: Option<&Value>, entry: &Entry) -> Result<Option<Value>, FoldError> {
        match (&entry.event, state) {
            (Some(Event::Block { .. }), None) => write(&Block { since: entry.at }),
            (Some(Event::Unblock { .. }), _) => Ok(None),
            _ => Ok(state.cloned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{BOB, Story};

    const EVENTS: &str = "https://events.example";

    fn block() -> Value {
        json!({"type": "Block", "object": "https://events.example/"})
    }

    #[test]
    fn a_block_holds_since_its_entry_until_it_is_undone() {
        let mut story = Story::default();
        let blocked = story.decided(block());
        let again = story.decided(json!({"type": "Block", "object": EVENTS, "again": true}));
        let rows = story.rows(&Blocks);
        assert_eq!(
            rows[EVENTS],
            json!({"since": story.time(blocked.id()).to_string()})
        );
        story.decided(json!({"type": "Undo", "object": again.id()}));
        assert!(story.rows(&Blocks).is_empty());
    }

    #[test]
    fn only_the_domain_blocks() {
        let mut story = Story::default();
        story.received(BOB, block());
        story.published("https://blog.example/actors/alice", block());
        assert!(story.rows(&Blocks).is_empty());
    }
}
