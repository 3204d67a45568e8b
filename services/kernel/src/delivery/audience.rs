//! The audience: who takes an actor's deliveries from which position to which.

use crate::{
    cid::Cid,
    follow::{Event, Relation},
};

/// What an entry changes in the audience rows of one relation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Closes the open row of this Follow: its `to_position`, see [`holds`].
    pub close: Option<(Cid, u64)>,
    /// Opens a row for this Follow, with this inbox: its `from_position`.
    pub open: Option<Opening>,
}

/// A row that opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub follow_cid: Cid,
    /// As the Follow's entry told; none: the worker looks it up.
    pub inbox: Option<String>,
    pub from_position: u64,
}

/// Whether a row concerns the entry at a position: `from_position` is included, `to_position` is not.
#[must_use]
pub fn holds(from_position: u64, to_position: Option<u64>, position: u64) -> bool {
    from_position <= position && to_position.is_none_or(|to| position < to)
}

/// Whether a row (of the audience, or of the blocks) may still be asked for: an open one always, a closed one while some
/// position below its `to_position` has no ledger rows yet. `cursor` is fan-out's, `behind` the
/// [positions](super::peer::Standing::at) of the origins that are parked or catching up.
#[must_use]
pub fn is_needed(to_position: Option<u64>, cursor: u64, behind: impl IntoIterator<Item = u64>) -> bool {
    let unwritten = behind.into_iter().fold(cursor.saturating_add(1), u64::min);
    to_position.is_none_or(|to| to > unwritten)
}

/// What the entry at `position` changes in the audience, given the relation before and after it (see
/// [`step`](crate::follow::step)).
///
/// A row opens *with* its Accept, and a Reject is the last that a row concerns: both are addressed to the follower, and so
/// they travel in the lane of the posts that they begin and end. Undo, Block and Gone concern the row no more.
#[must_use]
pub fn change(event: &Event, position: u64, before: Option<&Relation>, after: Option<&Relation>) -> Change {
    let before = before
        .filter(|relation| relation.is_accepted())
        .map(|relation| &relation.follow);
    let after = after
        .filter(|relation| relation.is_accepted())
        .map(|relation| &relation.follow);
    if before == after {
        return Change::default();
    }
    let last = matches!(event, Event::Reject { .. });
    Change {
        close: before.map(|follow| (follow.cid.clone(), position.saturating_add(u64::from(last)))),
        open: after.map(|follow| Opening {
            follow_cid: follow.cid.clone(),
            inbox: follow.inbox.clone(),
            from_position: position,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::{Follow, RelationState, step};

    fn follow(n: u8) -> Follow {
        Follow {
            cid: Cid::of_canonical(&[n]),
            id: n.to_string(),
            inbox: Some(format!("https://a.example/{n}/inbox")),
        }
    }

    fn event(verb: &str, n: u8) -> Event {
        let (followed, follower) = (
            "https://home.example/".to_owned(),
            "https://a.example/".to_owned(),
        );
        let id = Some(n.to_string());
        match verb {
            "Follow" => Event::Follow {
                followed,
                follower,
                follow: follow(n),
            },
            "Accept" => Event::Accept {
                followed,
                follower,
                id,
            },
            "Reject" => Event::Reject {
                followed,
                follower,
                id,
            },
            "Undo" => Event::Undo {
                followed,
                follower,
                id,
            },
            _ => Event::Block {
                origin: "https://a.example".parse().unwrap(),
            },
        }
    }

    fn accepted() -> Relation {
        Relation {
            state: RelationState::Accepted,
            follow: follow(1),
            newer: None,
        }
    }

    /// The change that an entry at position 7 makes: what it closes, and what it opens.
    fn changed(before: Option<Relation>, event: &Event) -> (Option<u64>, Option<u64>) {
        let after = step(before.clone(), event);
        let change = change(event, 7, before.as_ref(), after.as_ref());
        if let Some((cid, _)) = &change.close {
            assert_eq!(Some(cid), before.as_ref().map(|before| &before.follow.cid));
        }
        if let Some(open) = &change.open {
            let follow = &after.as_ref().unwrap().follow;
            assert_eq!((&open.follow_cid, &open.inbox), (&follow.cid, &follow.inbox));
        }
        (
            change.close.map(|close| close.1),
            change.open.map(|open| open.from_position),
        )
    }

    #[test]
    fn a_row_opens_with_its_accept_and_ends_with_its_reject_or_before_the_undo() {
        let requested = Relation {
            state: RelationState::Requested,
            ..accepted()
        };
        let again = Relation {
            newer: Some(follow(2)),
            ..accepted()
        };
        let table = [
            ("asked", None, event("Follow", 1), (None, None)),
            (
                "accepted",
                Some(requested.clone()),
                event("Accept", 1),
                (None, Some(7)),
            ),
            (
                "undone unanswered",
                Some(requested),
                event("Undo", 1),
                (None, None),
            ),
            ("undone", Some(accepted()), event("Undo", 1), (Some(7), None)),
            ("removed", Some(accepted()), event("Reject", 1), (Some(8), None)),
            ("blocked", Some(accepted()), event("Block", 0), (Some(7), None)),
            ("asked again", Some(accepted()), event("Follow", 2), (None, None)),
            (
                "accepted again",
                Some(again.clone()),
                event("Accept", 2),
                (Some(7), Some(7)),
            ),
            (
                "the old one undone",
                Some(again),
                event("Undo", 1),
                (Some(7), None),
            ),
            (
                "another one undone",
                Some(accepted()),
                event("Undo", 9),
                (None, None),
            ),
        ];
        for (what, before, event, expected) in table {
            assert_eq!(changed(before, &event), expected, "{what}");
        }
    }

    #[test]
    fn a_row_holds_from_one_position_to_before_another() {
        for (to, position, expected) in [
            (None, 2, false),
            (None, 3, true),
            (None, 99, true),
            (Some(5), 4, true),
            (Some(5), 5, false),
            (Some(3), 3, false),
        ] {
            assert_eq!(holds(3, to, position), expected, "{to:?} {position}");
        }
    }

    #[test]
    fn closed_rows_stay_until_every_origin_is_past_them() {
        let table: [(Option<u64>, u64, &[u64], bool); 6] = [
            (None, 99, &[], true),
            (Some(5), 3, &[], true),
            (Some(5), 4, &[], false),
            (Some(5), 99, &[4], true),
            (Some(5), 99, &[50, 4, 60], true),
            (Some(5), 99, &[50, 5], false),
        ];
        for (to, cursor, behind, expected) in table {
            assert_eq!(
                is_needed(to, cursor, behind.iter().copied()),
                expected,
                "{to:?} {cursor} {behind:?}"
            );
        }
    }
}
