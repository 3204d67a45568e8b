use std::time::Duration;

use super::*;
use crate::schedule::pace::PROMPT;

fn due(lane: i64, origin: &str) -> Due {
    Due {
        lane: LaneId(lane),
        origin: name(origin),
    }
}

fn name(origin: &str) -> Origin {
    format!("https://{origin}.example").parse().unwrap()
}

fn lanes(started: &[Due]) -> Vec<i64> {
    started.iter().map(|due| due.lane.0).collect()
}

fn prompt(prompt: u32) -> Seen {
    Seen {
        prompt,
        took: Duration::from_millis(5) * prompt,
        lingers: false,
    }
}

const LINGERS: Seen = Seen {
    prompt: 0,
    took: Duration::ZERO,
    lingers: true,
};

/// So many lanes of each origin, numbered.
fn offered(schedule: &mut Schedule, origins: &[String], each: usize, now: Instant) {
    let mut lane = 0;
    for origin in origins {
        for _ in 0..each {
            lane += 1;
            schedule.offer(due(lane, origin), now);
        }
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

fn count(started: &[Due], prefix: &str) -> usize {
    let starts = format!("https://{prefix}");
    started
        .iter()
        .filter(|due| due.origin.as_str().starts_with(&starts))
        .count()
}

#[test]
fn one_origin_gets_no_more_than_its_share() {
    let (mut schedule, now) = (Schedule::new(10, 2), Instant::now());
    for lane in 1..=5 {
        schedule.offer(due(lane, "much"), now);
    }
    schedule.offer(due(6, "little"), now);
    assert_eq!(lanes(&schedule.start(now)), [1, 6, 2]);
    assert!(schedule.start(now).is_empty());
    schedule.end(&due(1, "much"), now);
    assert_eq!(lanes(&schedule.start(now)), [3]);
}

#[test]
fn who_has_fewest_under_way_is_next_when_places_are_short() {
    let (mut schedule, now) = (Schedule::new(4, 10), Instant::now());
    for lane in 1..=4 {
        schedule.offer(due(lane, "one"), now);
    }
    schedule.learn(&name("one"), prompt(1), now);
    assert_eq!(lanes(&schedule.start(now)), [1, 2, 3, 4]);
    assert!(schedule.is_full());
    for lane in 5..=6 {
        schedule.offer(due(lane, "one"), now);
    }
    for lane in 7..=8 {
        schedule.offer(due(lane, "two"), now);
    }
    schedule.learn(&name("two"), prompt(1), now);
    schedule.end(&due(1, "one"), now);
    schedule.end(&due(2, "one"), now);
    assert_eq!(lanes(&schedule.start(now)), [7, 8]);
}

#[test]
fn a_lane_that_waits_is_not_taken_twice() {
    let (mut schedule, now) = (Schedule::new(1, 1), Instant::now());
    schedule.offer(due(1, "one"), now);
    schedule.offer(due(1, "one"), now);
    assert_eq!(lanes(&schedule.start(now)), [1]);
    schedule.end(&due(1, "one"), now);
    assert!(schedule.start(now).is_empty());
    assert!(schedule.origins.is_empty());
    assert!(
        schedule
            .classes
            .iter()
            .all(|class| class.running == 0 && class.line.is_empty())
    );
}

#[test]
fn a_lane_that_is_offered_while_it_runs_is_started_again() {
    let (mut schedule, now) = (Schedule::new(1, 1), Instant::now());
    schedule.offer(due(1, "one"), now);
    schedule.start(now);
    schedule.offer(due(1, "one"), now);
    schedule.offer(due(1, "one"), now);
    assert!(schedule.start(now).is_empty());
    schedule.end(&due(1, "one"), now);
    assert_eq!(lanes(&schedule.start(now)), [1]);
    schedule.end(&due(1, "one"), now);
    assert!(schedule.start(now).is_empty());
}

#[test]
fn an_origin_gets_more_lanes_for_its_answers_alone() {
    let (mut schedule, now) = (Schedule::new(256, 32), Instant::now());
    offered(&mut schedule, &names("one", 1), 100, now);
    assert_eq!(schedule.start(now).len(), 4);
    schedule.learn(&name("one0"), prompt(4), now);
    assert_eq!(schedule.start(now).len(), 4);
    schedule.learn(&name("one0"), prompt(500), now);
    assert_eq!(schedule.start(now).len(), 24, "32 in all");
}

#[test]
fn black_holes_leave_room_for_whoever_answers() {
    let (mut schedule, mut now) = (Schedule::new(256, 32), Instant::now());
    let holes = names("hole", 200);
    offered(&mut schedule, &holes, 50, now);
    let started = schedule.start(now);
    assert_eq!(
        started.len(),
        192,
        "three quarters, while nothing is known of them"
    );
    now += PROMPT;
    for due in &started {
        schedule.learn(&due.origin, LINGERS, now);
    }
    assert_eq!(schedule.running(Class::Slow), 192);
    for due in &started {
        schedule.end(due, now);
    }
    // Now that they are known for it they get half of what there is, eight that were not tried yet and strangers a quarter.
    for number in 0..100 {
        schedule.offer(due(20_000 + number, &format!("new{number}")), now);
    }
    let started = schedule.start(now);
    assert_eq!((count(&started, "hole"), count(&started, "new")), (128 + 8, 56));
    for number in 0..20 {
        schedule.offer(due(30_000 + number, "well"), now);
    }
    schedule.learn(&name("well"), prompt(16), now);
    assert_eq!(count(&schedule.start(now), "well"), 20);
    for number in 100..200 {
        schedule.offer(due(20_000 + number, &format!("new{number}")), now);
    }
    assert!(schedule.start(now).is_empty());
}

#[test]
fn a_slow_origin_that_answers_promptly_again_is_no_longer_slow() {
    let (mut schedule, mut now) = (Schedule::new(8, 8), Instant::now());
    offered(&mut schedule, &names("one", 1), 8, now);
    assert_eq!(schedule.start(now).len(), 4);
    now += PROMPT;
    schedule.learn(&name("one0"), LINGERS, now);
    assert_eq!(schedule.running(Class::Slow), 4);
    assert!(schedule.start(now).is_empty());
    schedule.learn(&name("one0"), prompt(4), now);
    assert_eq!(schedule.running(Class::Slow), 0);
    assert_eq!(schedule.start(now).len(), 4);
}

#[test]
fn how_it_answered_is_remembered_for_a_while() {
    let (mut schedule, now) = (Schedule::new(64, 32), Instant::now());
    schedule.offer(due(1, "one"), now);
    schedule.start(now);
    schedule.learn(&name("one"), prompt(28), now);
    schedule.end(&due(1, "one"), now);
    assert!(schedule.origins.is_empty());
    offered(&mut schedule, &["one".to_owned()], 64, now);
    assert_eq!(schedule.start(now).len(), 32);
    let mut later = Schedule::new(64, 32);
    later.idle = [(name("one"), schedule.origins[&name("one")].pace)].into();
    offered(&mut later, &["one".to_owned()], 64, now + Duration::from_secs(2));
    assert_eq!(later.start(now + Duration::from_secs(2)).len(), 4);
}

#[test]
fn what_waits_can_be_handed_back() {
    let (mut schedule, now) = (Schedule::new(2, 1), Instant::now());
    for lane in 1..=3 {
        schedule.offer(due(lane, "one"), now);
    }
    assert_eq!(lanes(&schedule.start(now)), [1]);
    assert_eq!(lanes(&schedule.drain()), [2, 3]);
    schedule.end(&due(1, "one"), now);
    assert!(schedule.start(now).is_empty());
}
