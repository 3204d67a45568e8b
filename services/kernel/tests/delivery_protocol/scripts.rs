//! The small worlds.

use fedsx_kernel::delivery::audience::{self, Opening};

use crate::{
    entry::Entry::{self, *},
    rules::{ChangeOf, Rules},
    setup::{ALL, AWAY, ONE, Setup},
    state::Nature,
};

/// Followers 0 and 1, of one origin in two lanes.
const TWO_LANES: &[Entry] = &[Follow(0, 1), Accept(0, 1), Follow(1, 1), Accept(1, 1)];
/// Followers 0 and 2, of two origins.
const TWO_ORIGINS: &[Entry] = &[Follow(0, 1), Accept(0, 1), Follow(2, 1), Accept(2, 1)];
/// Followers 0 and 3, behind one shared inbox.
const SHARED: &[Entry] = &[Follow(0, 1), Accept(0, 1), Follow(3, 1), Accept(3, 1)];

/// Two posts to one follower: the smallest world with an order to keep.
pub(crate) const POSTS: Setup = Setup::new(ONE, &[Post, Post]);
/// Three posts: a batch and what comes after it; parked again while catching up.
pub(crate) const MORE_POSTS: Setup = Setup::new(ONE, &[Post, Post, Post]);
/// Every kind of answer.
pub(crate) const ANSWERS: Setup = POSTS.failures(ALL);
pub(crate) const MORE_ANSWERS: Setup = MORE_POSTS.failures(ALL);
/// More posts than a lane may owe.
pub(crate) const TOO_MANY: Setup = MORE_ANSWERS.most_owed(1);
/// The pages of catch-up are slow.
pub(crate) const PAGES: Setup = MORE_POSTS.slow_pages();
pub(crate) const WIDE_PAGES: Setup = PAGES.pages_of(2);
/// Fan-out's lease moves; who had it does not notice.
pub(crate) const LEASES: Setup = MORE_POSTS.two_fan_outs();
/// A broker that loses and repeats messages.
pub(crate) const BROKER: Setup = MORE_POSTS.broker();
/// Two origins, and a post to one follower by name.
pub(crate) const ORIGINS: Setup = Setup::new(TWO_ORIGINS, &[Post, Direct(2), Post]).workers(1);
/// Two lanes of one origin.
pub(crate) const LANES: Setup = Setup::new(TWO_LANES, &[Post, Direct(1), Post]);
pub(crate) const LANES_ANSWERS: Setup = LANES.failures(ALL).workers(1);
/// Somebody follows while the origin is parked: catch-up needs a lane that is not there yet.
pub(crate) const FOLLOW: Setup = Setup::new(ONE, &[Post, Post, Follow(1, 1), Accept(1, 1)]);
/// Follow, undo and follow again while parked.
pub(crate) const UNDO: Setup =
    Setup::new(ONE, &[Post, Undo(0, 1), Post, Follow(0, 2), Accept(0, 2), Post]).slow_pages();
/// A follower removed.
pub(crate) const REJECT: Setup = Setup::new(ONE, &[Post, Reject(0, 1), Post]);
/// Accepted after it was undone.
pub(crate) const EARLY: Setup = Setup::new(ONE, &[Follow(2, 1), Undo(2, 1), Accept(2, 1), Post]).workers(1);
/// Undone late, after the follower has asked again.
pub(crate) const LATE_UNDO: Setup = Setup::new(
    ONE,
    &[Follow(0, 2), Accept(0, 2), Undo(0, 1), Post, Undo(0, 2), Post],
)
.workers(1);
/// One of two behind a shared inbox goes.
pub(crate) const SHARED_INBOX: Setup = Setup::new(SHARED, &[Post, Undo(0, 1), Post]).failures(ALL);
/// A parked origin's follows end, while others begin.
pub(crate) const GONE: Setup = Setup::new(ONE, &[Post, Follow(1, 1), Accept(1, 1), Post])
    .one_by_one()
    .endings()
    .slow_pages()
    .workers(1);
pub(crate) const GONE_POSTS: Setup = POSTS.one_by_one().endings();
/// A peer is blocked.
pub(crate) const BLOCK: Setup = Setup::new(TWO_LANES, &[Post, Post, Block(0), Direct(0), Post]);
/// Blocked, and let in again.
pub(crate) const UNBLOCK: Setup = Setup::new(
    ONE,
    &[Post, Block(0), Unblock(0), Post, Follow(0, 2), Accept(0, 2), Post],
)
.failures(ALL);
/// One delivery breaks a peer that is well otherwise, and away at times.
pub(crate) const POISON: Setup = POSTS.poison(1, 0, Nature::Poison).failures(AWAY);
pub(crate) const POISON_LANES: Setup = LANES.poison(1, 0, Nature::Poison);
/// One delivery breaks a peer that always answers.
pub(crate) const POISON_ALONE: Setup = MORE_POSTS
    .poison(2, 0, Nature::Poison)
    .failures(&[Nature::Answers500]);
/// One delivery breaks a peer whose actors cannot be fetched, but which answers other lanes.
pub(crate) const DARK_POISON: Setup = POSTS
    .poison(1, 0, Nature::DarkPoison)
    .failures(&[])
    .busy_siblings()
    .without_parking();
/// What was refused or died is sent again.
pub(crate) const REPLAY: Setup = POSTS.failures(ALL).replays();
/// Even while the origin is parked, and catches up.
pub(crate) const REPLAY_PARKED: Setup = MORE_POSTS
    .failures(&[Nature::Answers403, Nature::Down])
    .replays()
    .workers(1);
/// One delivery breaks the peer each time it is sent.
pub(crate) const REPLAY_POISON: Setup = POSTS.poison(1, 0, Nature::Poison).replays();
/// What a block ended, and what it should end.
pub(crate) const REPLAY_BLOCK: Setup = Setup::new(ONE, &[Post, Post, Block(0), Unblock(0)])
    .failures(&[Nature::Answers403, Nature::Answers500])
    .replays();
/// A server that sends its Accept to the personal inbox and its posts to the shared one; we are the receiver.
pub(crate) const ACCEPT_ASIDE: Setup =
    Setup::new(&[], &[Follow(3, 1), AcceptAside(3, 1), Post]).receiver_checks();

/// That server's rules: the posts reach the follower after its Accept, not with it.
pub(crate) fn accepts_aside(rules: Rules) -> Rules {
    let change: ChangeOf = |event, position, before, after| {
        let mut change = audience::change(event, position, before, after);
        change.open = change.open.map(|open| Opening {
            from_position: position + 1,
            ..open
        });
        change
    };
    Rules { change, ..rules }
}
