//! One rule taken away at a time: each time something goes wrong, so the explorer watches every one of them.

use fedsx_kernel::{
    cid::Cid,
    delivery::{
        audience::{self, Change},
        catch_up,
        claim::{self, Lane},
        fan_out, outcome,
        outcome::Outcome,
        peer::{Peer, Standing},
        row::{self, DeliveryState, Next, Row},
    },
    follow::{self, Event, Follow, Relation, RelationState},
};

use crate::{
    explore::explore,
    rules::Rules,
    scripts,
    setup::Setup,
    state::Violation::{self, *},
    world::World,
};

fn shows(expected: Violation, setup: Setup, rules: Rules) {
    let report = explore(&mut World::new(setup, rules));
    println!("{} states", report.states);
    let Some((violation, trace)) = report.violation else {
        panic!("nothing goes wrong")
    };
    println!("{violation:?} after {} steps: {trace:#?}", trace.len());
    assert_eq!(violation, expected, "{trace:#?}");
}

macro_rules! without {
    ($($name:ident: $setup:ident, $expected:ident, { $($rule:ident: $less:expr),* };)*) => {$(
        #[test]
        fn $name() {
            shows($expected, scripts::$setup, Rules { $($rule: $less,)* ..Rules::KERNEL });
        }
    )*};
}

// Where an origin is parked, and what that leaves.
without! {
    parking_where_catch_up_stands: MORE_POSTS, Stuck, {
        parked: |peer, cursor, now| Peer { standing: Standing::Live, ..peer }.parked(cursor, now)
    };
    parking_keeps_rows: POSTS, Stuck, { parking_keeps_rows: false };
    parking_only_what_has_failed: ANSWERS, ParkedThoughAlive, { parks: |peer, _| peer.takes_rows() };
    any_answer_proves_the_origin_alive: ANSWERS, ParkedThoughAlive, {
        after: |peer, outcome, at, jitter| match outcome {
            Outcome::Refused | Outcome::Retry => peer,
            outcome => peer.after(outcome, at, jitter),
        }
    };
    no_probe_after_an_answer: ANSWERS, ParkedThoughAlive, {
        probes: |peer, now| Peer { alive_at: None, ..*peer }.probes(now)
    };
}

// Fan-out.
without! {
    standings_are_read_under_the_lock: POSTS, RowWhileParked, { standings_under_lock: false };
    rows_for_live_origins_only: MORE_POSTS, Order, {
        takes_rows: |peer| !matches!(peer.standing, Standing::Parked { .. })
    };
    fan_out_runs_in_an_idle_log: POSTS, Stuck, { due: |cursor, head, _| cursor < head };
    an_origin_without_pending_rows_unparks: GONE, Stuck, { waits: |peer, _| peer.waits(true) };
    unparking_at_the_new_cursor: POSTS, Stuck, { unparks_at_new_cursor: false };
    unparking_catches_up: POSTS, Stuck, { unparked: |peer, _| peer.unparked(0) };
}

// Catch-up.
without! {
    catch_up_goes_by_origin: FOLLOW, Stuck, { catch_up_makes_lanes: false };
    a_page_commits_only_where_it_was_read: PAGES, RowWhileParked, { commits: |_, _| true };
    the_page_that_reaches_the_cursor_makes_live: MORE_POSTS, Stuck, {
        advanced: |peer, page, _| catch_up::advanced(peer, page, page.to)
    };
}

// Claims and outcomes.
without! {
    a_claimed_lane_is_left_alone: ANSWERS, Order, {
        claimable: |lane, peer, siblings, now| {
            claim::claimable(Lane { claim_until: None, ..lane }, peer, siblings, now)
        }
    };
    a_failing_origin_gets_one_attempt_at_a_time: LANES, Crowded, {
        claimable: |lane, peer, _, now| claim::claimable(lane, peer, false, now)
    };
    a_parked_origin_is_only_probed: POSTS, Crowded, {
        claimable: |lane, peer, siblings, now| {
            claim::claimable(lane, &Peer { standing: Standing::Live, ..*peer }, siblings, now)
        }
    };
    no_post_outlasts_its_claim: ANSWERS, Order, { may_post: |_, _, _| true };
    an_outcome_counts_under_its_claim: ANSWERS, Order, { is_mine: |_, _| true };
    an_outcome_counts_for_a_pending_row: BLOCK, EndedOverwritten, {
        settle: |row, outcome, now, jitter| {
            row::settle(Row { state: DeliveryState::Pending, ..row }, outcome, now, jitter)
        }
    };
    refused_is_recorded_before_the_next_post: ANSWERS, Order, {
        next: |settled, failing| match settled.state {
            DeliveryState::Refused => Next::Continue,
            _ => row::next(settled, failing),
        }
    };
    dead_is_recorded_before_the_next_post: ANSWERS, Order, {
        next: |settled, failing| match settled.state {
            DeliveryState::Dead => Next::Continue,
            _ => row::next(settled, failing),
        }
    };
    a_lane_waits_for_its_first_delivery: ANSWERS, Order, {
        next: |settled, failing| match settled.state {
            DeliveryState::Pending => Next::Continue,
            _ => row::next(settled, failing),
        }
    };
    a_peer_that_takes_nothing_is_owed_so_much_at_most: TOO_MANY, Surplus, { takes_none: |_| false };
    a_probe_takes_its_lanes_claim: ANSWERS, Order, { probe_takes_claim: false };
    a_probe_is_the_first_of_its_lane: POSTS, Order, {
        probe: |pending| pending.into_iter().map(|(lane, position, _)| (lane, position)).max()
    };
    poison_counts_for_the_delivery: POISON, ParkedThoughAlive, { attribute: |outcome, _, _, _| outcome };
    poison_does_not_park: POISON_ALONE, ParkedThoughAlive, { attribute: |outcome, _, _, _| outcome };
    the_answer_to_a_sibling_counts: DARK_POISON, Stuck, {
        attribute: |outcome, at, _, actor| outcome::attribute(outcome, at, None, actor)
    };
}

// What is sent again.
without! {
    what_is_sent_again_leaves_its_lane: REPLAY, Order, { replay_leaves_the_lane: false };
    nothing_is_sent_again_to_a_blocked_peer: REPLAY_BLOCK, Blocked, { replay_spares_the_blocked: false };
    poison_that_is_sent_again_counts_for_itself: REPLAY_POISON, ParkedThoughAlive, {
        attribute: |outcome, _, _, _| outcome
    };
}

// The audience.
without! {
    accept_needs_a_follow_that_stands: EARLY, Audience, {
        step: |relation, event| match (relation, event) {
            (None, Event::Accept { id: Some(id), .. }) => Some(accepted(id)),
            (relation, event) => follow::step(relation, event),
        }
    };
    undo_ends_only_the_follow_it_names: LATE_UNDO, Stuck, {
        step: |relation, event| match event {
            Event::Undo { .. } => None,
            _ => follow::step(relation, event),
        }
    };
    the_end_of_follows_names_them: GONE, Stuck, {
        step: |relation, event| match event {
            Event::Gone { .. } => None,
            _ => follow::step(relation, event),
        }
    };
    a_block_ends_follows: UNBLOCK, Audience, {
        step: |relation, event| match event {
            Event::Block { .. } => relation,
            _ => follow::step(relation, event),
        }
    };
    a_row_opens_with_its_accept: FOLLOW, Audience, {
        change: |event, position, before, after| {
            let mut change = audience::change(event, position, before, after);
            change.open.iter_mut().for_each(|open| open.from_position = 0);
            change
        }
    };
    a_row_closes: UNDO, Audience, {
        change: |event, position, before, after| {
            Change { close: None, ..audience::change(event, position, before, after) }
        }
    };
    a_removed_follower_is_told_in_order: REJECT, Audience, {
        change: |event, position, before, after| {
            let change = audience::change(event, position, before, after);
            Change { close: change.close.map(|(cid, _)| (cid, position)), ..change }
        }
    };
    a_follower_by_name_stays_in_its_lane: REJECT, Audience, {
        owed: |recipients, members, blocked| {
            let members = members.into_iter().filter(|_| recipients.followers);
            fan_out::owed(recipients, members, blocked)
        }
    };
    blocked_origins_are_owed_nothing: BLOCK, Audience, {
        owed: |recipients, members, _| fan_out::owed(recipients, members, |_| false)
    };
    a_block_ends_what_is_pending: BLOCK, Blocked, { block_ends_pending: false };
    a_block_forgets_what_was_to_be_caught_up: BLOCK, Blocked, { block_forgets_peer: false };
    the_end_of_follows_ends_what_is_pending: GONE, GivenUp, { ending_ends_pending: false };
    nothing_given_up_is_caught_up: GONE, GivenUp, { given_up: |peer, _, _| peer };
}

/// An Accept that opens a row although nobody follows.
fn accepted(id: &str) -> Relation {
    let follow = Follow {
        cid: Cid::of_canonical(id.as_bytes()),
        id: id.to_owned(),
        inbox: None,
    };
    Relation {
        state: RelationState::Accepted,
        follow,
        newer: None,
    }
}

/// What the receiver asked for comes by another inbox than the Accept.
#[test]
fn having_asked_admits() {
    let rules = Rules {
        admits: Relation::is_accepted,
        ..scripts::accepts_aside(Rules::KERNEL)
    };
    shows(Stuck, scripts::ACCEPT_ASIDE, rules);
}
