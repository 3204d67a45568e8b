//! Catch-up writes what a peer missed while it was parked, from the log, page by page.

use super::peer::{Peer, Standing};

/// Entries that one page looks at.
pub const PAGE: u64 = 256;

/// A run of positions, both ends included; empty where `to < from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub from: u64,
    pub to: u64,
}

/// The next page of an origin that is catching up, of `size` positions at most and never past fan-out's cursor; none for
/// any other origin. Each of its entries is [owed](super::fan_out::owed) by the audience at that entry's position.
#[must_use]
pub fn page(peer: &Peer, cursor: u64, size: u64) -> Option<Page> {
    let Standing::CatchingUp { at } = peer.standing else {
        return None;
    };
    Some(Page {
        from: at,
        to: cursor.min(at.saturating_add(size.max(1) - 1)),
    })
}

/// Whether a page may be committed: the origin's standing, read again under the lock of the cursor's row, is the one that
/// the page was made for.
#[must_use]
pub fn commits(read: &Peer, locked: &Peer) -> bool {
    read.standing == locked.standing
}

/// The origin after a page: live, in the same transaction, where the page reaches fan-out's cursor as it stands under
/// the lock.
#[must_use]
pub fn advanced(peer: Peer, page: Page, cursor: u64) -> Peer {
    let at = page.from.max(page.to.saturating_add(1));
    let standing = if at > cursor {
        Standing::Live
    } else {
        Standing::CatchingUp { at }
    };
    Peer { standing, ..peer }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn catching_up(at: u64) -> Peer {
        Peer {
            standing: Standing::CatchingUp { at },
            ..Peer::LIVE
        }
    }

    #[test]
    fn pages_lead_to_the_cursor_and_not_past_it() {
        let table = [
            (1, 10, 4, 1, 4),
            (5, 10, 4, 5, 8),
            (9, 10, 4, 9, 10),
            (10, 10, 1, 10, 10),
            (11, 10, 4, 11, 10),
        ];
        for (at, cursor, size, from, to) in table {
            assert_eq!(
                page(&catching_up(at), cursor, size),
                Some(Page { from, to }),
                "{at} {cursor} {size}"
            );
        }
        assert_eq!(
            page(&catching_up(3), 10, 0),
            Some(Page { from: 3, to: 3 }),
            "a page of nothing would never end"
        );
    }

    #[test]
    fn only_an_origin_that_is_catching_up_has_pages() {
        let parked = Standing::Parked {
            at: 1,
            since: Timestamp::UNIX_EPOCH,
            next_probe: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(page(&Peer::LIVE, 10, 4), None);
        assert_eq!(
            page(
                &Peer {
                    standing: parked,
                    ..Peer::LIVE
                },
                10,
                4
            ),
            None
        );
    }

    #[test]
    fn the_page_that_reaches_the_cursor_makes_the_origin_live() {
        let table = [
            (Page { from: 1, to: 4 }, 10, Standing::CatchingUp { at: 5 }),
            (Page { from: 5, to: 10 }, 10, Standing::Live),
            // The cursor has moved since the page was read.
            (Page { from: 5, to: 10 }, 11, Standing::CatchingUp { at: 11 }),
            (Page { from: 11, to: 10 }, 10, Standing::Live),
            (Page { from: 11, to: 10 }, 11, Standing::CatchingUp { at: 11 }),
        ];
        for (page, cursor, standing) in table {
            assert_eq!(
                advanced(catching_up(page.from), page, cursor).standing,
                standing,
                "{page:?} {cursor}"
            );
        }
    }

    #[test]
    fn every_page_in_turn_makes_every_position_once() {
        let (mut peer, cursor, mut seen) = (catching_up(3), 20, vec![]);
        while let Some(page) = page(&peer, cursor, 7) {
            seen.extend(page.from..=page.to);
            peer = advanced(peer, page, cursor);
        }
        assert_eq!(seen, (3..=20).collect::<Vec<_>>());
        assert_eq!(peer.standing, Standing::Live);
    }

    #[test]
    fn a_page_counts_only_for_the_standing_it_was_made_for() {
        let failing = Peer {
            failing_since: Some(Timestamp::UNIX_EPOCH),
            ..catching_up(5)
        };
        assert!(commits(&catching_up(5), &failing));
        assert!(!commits(&catching_up(5), &catching_up(6)));
        assert!(!commits(
            &catching_up(5),
            &catching_up(5).parked(9, Timestamp::UNIX_EPOCH)
        ));
        assert!(!commits(&catching_up(5), &Peer::LIVE));
    }
}
