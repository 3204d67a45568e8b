//! Which lanes a worker starts: so many at once, so many of one origin, origins in turn.

use std::collections::{HashMap, HashSet, VecDeque};

use fedsx_kernel::origin::Origin;

use crate::{broker::Due, lane::LaneId};

/// Lanes that wait for a place of their origin at most; what is beyond is swept again later.
const WAITING: usize = 1 << 16;

/// What runs and what waits in one worker.
#[derive(Debug)]
pub(crate) struct Schedule {
    lanes: usize,
    lanes_per_origin: usize,
    running: HashSet<LaneId>,
    /// Lanes that were offered while they ran: what they were offered for may have come too late for that run.
    again: HashSet<LaneId>,
    waiting: HashSet<LaneId>,
    origins: HashMap<Origin, Slot>,
    /// Origins that have waiting lanes and a free place, in turn.
    turns: VecDeque<Origin>,
}

#[derive(Debug, Default)]
struct Slot {
    running: usize,
    waiting: VecDeque<LaneId>,
    in_turns: bool,
}

impl Schedule {
    pub(crate) fn new(lanes: usize, lanes_per_origin: usize) -> Self {
        Self {
            lanes: lanes.max(1),
            lanes_per_origin: lanes_per_origin.max(1),
            running: HashSet::new(),
            again: HashSet::new(),
            waiting: HashSet::new(),
            origins: HashMap::new(),
            turns: VecDeque::new(),
        }
    }

    /// Takes a lane in, unless it waits already or too many wait. One that runs is started again when it has ended.
    pub(crate) fn offer(&mut self, due: Due) {
        if self.running.contains(&due.lane) {
            self.again.insert(due.lane);
            return;
        }
        if self.waiting.contains(&due.lane) || self.waiting.len() >= WAITING {
            return;
        }
        self.waiting.insert(due.lane);
        let slot = self.origins.entry(due.origin.clone()).or_default();
        slot.waiting.push_back(due.lane);
        self.queue(&due.origin);
    }

    /// Starts as many as there are places for.
    pub(crate) fn start(&mut self) -> Vec<Due> {
        let mut started = Vec::new();
        while self.running.len() < self.lanes
            && let Some(origin) = self.turns.pop_front()
        {
            let Some(slot) = self.origins.get_mut(&origin) else {
                continue;
            };
            slot.in_turns = false;
            let Some(lane) = slot.waiting.pop_front() else {
                continue;
            };
            slot.running += 1;
            self.waiting.remove(&lane);
            self.running.insert(lane);
            self.queue(&origin);
            started.push(Due { lane, origin });
        }
        started
    }

    /// A lane that was started has ended, or was not claimed.
    pub(crate) fn end(&mut self, due: &Due) {
        if !self.running.remove(&due.lane) {
            return;
        }
        if let Some(slot) = self.origins.get_mut(&due.origin) {
            slot.running = slot.running.saturating_sub(1);
            if slot.running == 0 && slot.waiting.is_empty() {
                self.origins.remove(&due.origin);
            }
        }
        if self.again.remove(&due.lane) {
            self.offer(due.clone());
        }
        self.queue(&due.origin);
    }

    pub(crate) fn is_running(&self, lane: LaneId) -> bool {
        self.running.contains(&lane)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.running.len() >= self.lanes
    }

    /// Gives an origin a turn where it can use one.
    fn queue(&mut self, origin: &Origin) {
        if let Some(slot) = self.origins.get_mut(origin)
            && !slot.in_turns
            && slot.running < self.lanes_per_origin
            && !slot.waiting.is_empty()
        {
            slot.in_turns = true;
            self.turns.push_back(origin.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(lane: i64, origin: &str) -> Due {
        Due {
            lane: LaneId(lane),
            origin: format!("https://{origin}.example").parse().unwrap(),
        }
    }

    fn lanes(started: &[Due]) -> Vec<i64> {
        started.iter().map(|due| due.lane.0).collect()
    }

    #[test]
    fn one_origin_gets_no_more_than_its_share() {
        let mut schedule = Schedule::new(10, 2);
        for lane in 1..=5 {
            schedule.offer(due(lane, "slow"));
        }
        schedule.offer(due(6, "well"));
        assert_eq!(lanes(&schedule.start()), [1, 6, 2]);
        assert!(schedule.start().is_empty());
        schedule.end(&due(1, "slow"));
        assert_eq!(lanes(&schedule.start()), [3]);
    }

    #[test]
    fn origins_take_turns_when_places_are_short() {
        let mut schedule = Schedule::new(2, 10);
        for lane in 1..=3 {
            schedule.offer(due(lane, "one"));
        }
        schedule.offer(due(4, "two"));
        assert_eq!(lanes(&schedule.start()), [1, 4]);
        assert!(schedule.is_full());
        schedule.end(&due(4, "two"));
        schedule.end(&due(1, "one"));
        assert_eq!(lanes(&schedule.start()), [2, 3]);
    }

    #[test]
    fn a_lane_that_waits_is_not_taken_twice() {
        let mut schedule = Schedule::new(1, 1);
        schedule.offer(due(1, "one"));
        schedule.offer(due(1, "one"));
        assert_eq!(lanes(&schedule.start()), [1]);
        schedule.end(&due(1, "one"));
        assert!(schedule.start().is_empty());
        assert!(schedule.origins.is_empty() && schedule.turns.is_empty());
    }

    #[test]
    fn a_lane_that_is_offered_while_it_runs_is_started_again() {
        let mut schedule = Schedule::new(1, 1);
        schedule.offer(due(1, "one"));
        schedule.start();
        schedule.offer(due(1, "one"));
        schedule.offer(due(1, "one"));
        assert!(schedule.start().is_empty());
        schedule.end(&due(1, "one"));
        assert_eq!(lanes(&schedule.start()), [1]);
        schedule.end(&due(1, "one"));
        assert!(schedule.start().is_empty());
    }
}
