//! The rules as they stand: no script comes to a violation.

use crate::{explore::explore, rules::Rules, scripts, setup::Setup, world::World};

/// Explores a whole world, and shows the shortest way to what should not be.
fn holds(setup: Setup, rules: Rules) {
    let report = explore(&mut World::new(setup, rules));
    println!("{} states", report.states);
    if let Some((violation, trace)) = report.violation {
        panic!("{violation:?} after {} steps: {trace:#?}", trace.len());
    }
}

macro_rules! holds {
    ($($name:ident: $setup:ident;)*) => {$(
        #[test]
        fn $name() {
            holds(scripts::$setup, Rules::KERNEL);
        }
    )*};
}

holds! {
    for_two_posts: POSTS;
    for_three_posts: MORE_POSTS;
    for_every_kind_of_answer: ANSWERS;
    for_every_kind_of_answer_and_three_posts: MORE_ANSWERS;
    for_more_posts_than_a_lane_may_owe: TOO_MANY;
    for_slow_pages_of_catch_up: PAGES;
    for_leases_that_move: LEASES;
    for_a_broker_that_loses_and_repeats: BROKER;
    for_two_origins: ORIGINS;
    for_two_lanes_of_an_origin: LANES;
    for_two_lanes_and_every_kind_of_answer: LANES_ANSWERS;
    for_pages_of_two: WIDE_PAGES;
    for_a_follow_while_parked: FOLLOW;
    for_undo_and_follow_while_parked: UNDO;
    for_a_follower_removed: REJECT;
    for_an_accept_after_the_undo: EARLY;
    for_an_undo_after_the_next_follow: LATE_UNDO;
    for_a_shared_inbox: SHARED_INBOX;
    for_a_peer_given_up: GONE;
    for_a_peer_given_up_by_two_workers: GONE_POSTS;
    for_a_peer_blocked: BLOCK;
    for_a_peer_unblocked: UNBLOCK;
    for_poison_at_a_peer_that_fails: POISON;
    for_poison_beside_another_lane: POISON_LANES;
    for_poison_at_a_healthy_peer: POISON_ALONE;
    for_poison_where_only_siblings_answer: DARK_POISON;
    for_what_is_sent_again: REPLAY;
    for_what_is_sent_again_while_parked: REPLAY_PARKED;
    for_poison_that_is_sent_again: REPLAY_POISON;
    for_what_is_sent_again_after_a_block: REPLAY_BLOCK;
}

/// The sender is another server's software; what is ours here is the receiver's check.
#[test]
fn for_an_accept_that_comes_aside() {
    holds(scripts::ACCEPT_ASIDE, scripts::accepts_aside(Rules::KERNEL));
}
