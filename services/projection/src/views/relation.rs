//! The row that the views of follows share: one follower and one followed actor, and what became of the follow.

use fedsx_kernel::{
    cid::Cid,
    follow::{self, Concern, Follow, Relation, RelationState},
    origin::Origin,
    stream::Stream,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FoldError, Touched, View, is_local_actor, read, write};
use crate::entry::Entry;

/// A row of `followers`, `following` and `following_by`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelationRow {
    /// What became of the follow: of `earlier` where there is one, else of the Follow that this row names.
    pub(crate) state: RelationState,
    pub(crate) follower: String,
    pub(crate) followed: String,
    /// The newest Follow: the one to name in an Accept, Reject or Undo.
    pub(crate) follow_cid: Cid,
    pub(crate) follow_id: String,
    /// Where the follower takes deliveries, where it is known.
    pub(crate) inbox: Option<String>,
    /// When `state` became what it is: the time of the entry.
    pub(crate) since: Timestamp,
    /// The Follow that `state` is about, where a newer one waits for its own answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) earlier: Option<Follow>,
}

impl RelationRow {
    /// Whether this is the newest Follow of the two, and nobody has answered it.
    pub(crate) fn awaits_answer_to(&self, follow: &Cid) -> bool {
        let waits = self.earlier.is_some() || self.state == RelationState::Requested;
        self.follow_cid == *follow && waits
    }

    fn relation(&self) -> Relation {
        let newest = Follow {
            cid: self.follow_cid.clone(),
            id: self.follow_id.clone(),
            inbox: self.inbox.clone(),
        };
        let (follow, newer) = match self.earlier.clone() {
            Some(earlier) => (earlier, Some(newest)),
            None => (newest, None),
        };
        Relation {
            state: self.state,
            follow,
            newer,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    Follower,
    Followed,
}

/// A view of follows. Its keys are the ids of both parties with one space between, which no id contains.
#[derive(Debug)]
pub(super) struct Relations {
    pub(super) origin: Origin,
    /// The party that has to be ours.
    pub(super) local: Party,
    /// The party that stands first in the key.
    pub(super) first: Party,
}

impl Relations {
    fn key(&self, follower: &str, followed: &str) -> String {
        match self.first {
            Party::Follower => format!("{follower} {followed}"),
            Party::Followed => format!("{followed} {follower}"),
        }
    }

    /// Follower and followed of a key.
    fn parties<'a>(&self, key: &'a str) -> Option<(&'a str, &'a str)> {
        let (first, second) = key.split_once(' ')?;
        Some(match self.first {
            Party::Follower => (first, second),
            Party::Followed => (second, first),
        })
    }
}

impl View for Relations {
    fn listens(&self, stream: &Stream, verb: &str) -> bool {
        match stream {
            Stream::Outbox(_) | Stream::Inbox(_) => matches!(verb, "Follow" | "Accept" | "Reject" | "Undo"),
            Stream::Domain => matches!(verb, "Block" | "Undo" | "Gone"),
            Stream::Flow(_) => false,
        }
    }

    fn touches(&self, entry: &Entry) -> Touched {
        match entry.event.as_ref().map(follow::Event::concerns) {
            None => Touched::Nothing,
            Some(Concern::Peer(peer)) => Touched::Peer(peer.clone()),
            Some(Concern::Relation { followed, follower }) => {
                let ours = match self.local {
                    Party::Follower => follower,
                    Party::Followed => followed,
                };
                let sound = |id| Origin::of(id).is_ok();
                if is_local_actor(&self.origin, ours) && sound(followed) && sound(follower) {
                    Touched::key(self.key(follower, followed))
                } else {
                    Touched::Nothing
                }
            }
        }
    }

    fn peer(&self, key: &str) -> Option<Origin> {
        let (follower, followed) = self.parties(key)?;
        Origin::of(match self.local {
            Party::Follower => followed,
            Party::Followed => follower,
        })
        .ok()
    }

    fn fold(&self, key: &str, state: Option<&Value>, entry: &Entry) -> Result<Option<Value>, FoldError> {
        let before: Option<RelationRow> = read(state)?;
        let Some(event) = &entry.event else {
            return Ok(state.cloned());
        };
        let Some(after) = follow::step(before.as_ref().map(RelationRow::relation), event) else {
            return Ok(None);
        };
        let (follower, followed) = self
            .parties(key)
            .ok_or_else(|| FoldError::Row(format!("{key:?} does not name two parties")))?;
        let since = match &before {
            Some(row) if row.state == after.state => row.since,
            _ => entry.at,
        };
        let newest = after.newest().clone();
        write(&RelationRow {
            state: after.state,
            follower: follower.to_owned(),
            followed: followed.to_owned(),
            follow_cid: newest.cid,
            follow_id: newest.id,
            inbox: newest.inbox,
            since,
            earlier: after.newer.is_some().then_some(after.follow),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        testing::{AT, BOB, Story},
        views::{followers, following},
    };

    const ALICE: &str = "https://blog.example/actors/alice";

    fn followers() -> Relations {
        followers::view("https://blog.example".parse().unwrap())
    }

    #[test]
    fn a_follow_asks_and_an_accept_answers() {
        let mut story = Story::default();
        let follow = story.received(BOB, json!({"type": "Follow", "object": ALICE, "to": [ALICE]}));
        let accept = story.published(
            ALICE,
            json!({"type": "Accept", "object": follow.id(), "to": [BOB]}),
        );
        let rows = story.rows(&followers());
        let row = &rows[&format!("{ALICE} {BOB}")];
        assert_eq!(row["state"], "accepted");
        assert_eq!((&row["follower"], &row["followed"]), (&json!(BOB), &json!(ALICE)));
        assert_eq!(row["follow_cid"], follow.cid().as_str());
        assert_eq!(row["follow_id"], follow.id());
        assert_eq!(row["inbox"], "https://events.example/inbox");
        assert_eq!(row["since"], story.time(accept.id()).to_string());
        assert_eq!(rows.len(), 1);
    }

    #[test]
    fn a_repeated_follow_keeps_the_state_and_names_the_newest() {
        let mut story = Story::default();
        let first = story.received(BOB, json!({"type": "Follow", "object": ALICE}));
        story.published(ALICE, json!({"type": "Accept", "object": first.id()}));
        let again = story.received(BOB, json!({"type": "Follow", "object": ALICE, "again": true}));
        let key = format!("{ALICE} {BOB}");
        let row: RelationRow = read(story.rows(&followers()).get(&key)).unwrap().unwrap();
        assert_eq!(
            (row.state, &row.follow_cid),
            (RelationState::Accepted, again.cid())
        );
        assert_eq!(row.since, AT + jiff::SignedDuration::from_secs(1));
        assert!(row.awaits_answer_to(again.cid()) && !row.awaits_answer_to(first.cid()));

        story.published(ALICE, json!({"type": "Accept", "object": again.id()}));
        let row: RelationRow = read(story.rows(&followers()).get(&key)).unwrap().unwrap();
        assert_eq!(
            (row.earlier.clone(), row.awaits_answer_to(again.cid())),
            (None, false)
        );
    }

    #[test]
    fn an_undo_deletes_the_row() {
        let mut story = Story::default();
        let follow = story.received(BOB, json!({"type": "Follow", "object": ALICE}));
        story.received(BOB, json!({"type": "Undo", "object": follow.id()}));
        assert!(story.rows(&followers()).is_empty());
    }

    #[test]
    fn a_block_ends_what_stands_between_a_peer_and_us_and_nothing_else() {
        let mut story = Story::default();
        story.received(BOB, json!({"type": "Follow", "object": ALICE}));
        story.received(
            "https://shop.example/actors/eve",
            json!({"type": "Follow", "object": ALICE}),
        );
        story.decided(json!({"type": "Block", "object": "https://events.example/"}));
        let rows = story.rows(&followers());
        assert_eq!(
            rows.into_keys().collect::<Vec<_>>(),
            [format!("{ALICE} https://shop.example/actors/eve")]
        );
    }

    #[test]
    fn our_own_follow_is_found_by_either_party() {
        let mut story = Story::default();
        story.published(ALICE, json!({"type": "Follow", "object": BOB, "to": [BOB]}));
        let origin: Origin = "https://blog.example".parse().unwrap();
        let one = story.rows(&following::view(origin.clone()));
        let other = story.rows(&following::by_followed(origin));
        assert_eq!(one[&format!("{ALICE} {BOB}")], other[&format!("{BOB} {ALICE}")]);
        assert_eq!(one[&format!("{ALICE} {BOB}")]["state"], "requested");
        assert!(story.rows(&followers()).is_empty());
    }

    #[test]
    fn who_follows_nobody_of_ours_is_no_follower() {
        let mut story = Story::default();
        story.received(
            BOB,
            json!({"type": "Follow", "object": "https://blog.example/notes/1"}),
        );
        story.received(
            BOB,
            json!({"type": "Follow", "object": "https://shop.example/actors/eve"}),
        );
        story.received(
            BOB,
            json!({"type": "Follow", "object": "https://blog.example/actors/a b"}),
        );
        assert!(story.rows(&followers()).is_empty());
    }

    #[test]
    fn a_damaged_row_is_an_error() {
        let mut story = Story::default();
        story.received(BOB, json!({"type": "Follow", "object": ALICE}));
        let entry = &story.entries()[0];
        let damaged = json!({"state": "asleep"});
        let folded = followers().fold(&format!("{ALICE} {BOB}"), Some(&damaged), entry);
        assert!(matches!(folded, Err(FoldError::State(_))));
    }
}
