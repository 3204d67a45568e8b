//! Which lanes a worker starts: so many at once, of one origin as many as it keeps pace with, those that have fewest under
//! way first.
//!
//! Origins that are slow, or black holes, would in time hold every lane. So an origin gets more lanes only for prompt
//! answers ([`pace`]), slow ones together at most half of all, and with those of which nothing is known three quarters: the
//! rest is for whoever answers.

pub(crate) mod pace;
pub(crate) mod pulse;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Instant,
};

use fedsx_kernel::origin::Origin;

use crate::{broker::Due, lane::LaneId};
use pace::{Class, Pace, Seen};

/// Lanes that wait for a place of their origin at most; what is beyond is swept again later.
const WAITING: usize = 1 << 16;
/// Origins that are remembered while nothing of theirs runs or waits.
const REMEMBERED: usize = 1 << 14;

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
    idle: HashMap<Origin, Pace>,
    classes: [Members; 3],
    ticket: u64,
}

/// What one origin has.
#[derive(Debug)]
struct Slot {
    pace: Pace,
    /// As it was when it was last filed.
    class: Class,
    running: usize,
    waiting: VecDeque<LaneId>,
    /// Its place in line, where it has one.
    place: Option<(usize, u64)>,
}

/// The origins of one class.
#[derive(Debug, Default)]
struct Members {
    /// Lanes under way.
    running: usize,
    /// Origins that have a lane to start and may: those with fewest lanes under way first, then who came first.
    line: BTreeSet<(usize, u64, Origin)>,
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
            idle: HashMap::new(),
            classes: Default::default(),
            ticket: 0,
        }
    }

    /// Takes a lane in, unless it waits already or too many wait. One that runs is started again when it has ended.
    pub(crate) fn offer(&mut self, due: Due, now: Instant) {
        if self.running.contains(&due.lane) {
            self.again.insert(due.lane);
            return;
        }
        if self.waiting.contains(&due.lane) || self.waiting.len() >= WAITING {
            return;
        }
        self.waiting.insert(due.lane);
        let idle = &mut self.idle;
        let slot = self.origins.entry(due.origin.clone()).or_insert_with(|| {
            let pace = idle.remove(&due.origin).unwrap_or_default();
            Slot {
                pace,
                class: pace.class(now),
                running: 0,
                waiting: VecDeque::new(),
                place: None,
            }
        });
        slot.waiting.push_back(due.lane);
        self.file(&due.origin, now);
    }

    /// Starts as many as there are places for.
    pub(crate) fn start(&mut self, now: Instant) -> Vec<Due> {
        let mut started = Vec::new();
        while let Some(origin) = self.first() {
            // Its last answer may be long ago by now.
            if !self.file(&origin, now) {
                continue;
            }
            let Some(slot) = self.origins.get_mut(&origin) else {
                break;
            };
            let Some(lane) = slot.waiting.pop_front() else {
                break;
            };
            slot.running += 1;
            self.classes[slot.class as usize].running += 1;
            self.waiting.remove(&lane);
            self.running.insert(lane);
            self.file(&origin, now);
            started.push(Due { lane, origin });
        }
        started
    }

    /// What a lane under way has seen of its origin, if anything: time alone tells something too.
    pub(crate) fn learn(&mut self, origin: &Origin, seen: Seen, now: Instant) {
        if let Some(slot) = self.origins.get_mut(origin) {
            slot.pace.learn(seen, now, self.lanes_per_origin);
            self.file(origin, now);
        }
    }

    /// A lane that was started has ended, or was not claimed.
    pub(crate) fn end(&mut self, due: &Due, now: Instant) {
        if !self.running.remove(&due.lane) {
            return;
        }
        if let Some(slot) = self.origins.get_mut(&due.origin) {
            slot.running = slot.running.saturating_sub(1);
            let members = &mut self.classes[slot.class as usize];
            members.running = members.running.saturating_sub(1);
        }
        if self.again.remove(&due.lane) {
            self.offer(due.clone(), now);
        }
        self.file(&due.origin, now);
        self.forget_idle(&due.origin);
    }

    pub(crate) fn is_running(&self, lane: LaneId) -> bool {
        self.running.contains(&lane)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.running.len() >= self.lanes
    }

    /// Lanes under way to the origins of a class.
    pub(crate) fn running(&self, class: Class) -> usize {
        self.classes[class as usize].running
    }

    /// Takes out what waits, to be handed back.
    pub(crate) fn drain(&mut self) -> Vec<Due> {
        let mut drained = Vec::new();
        for (origin, slot) in &mut self.origins {
            let lanes = slot.waiting.drain(..);
            drained.extend(lanes.map(|lane| Due {
                lane,
                origin: origin.clone(),
            }));
        }
        self.waiting.clear();
        for members in &mut self.classes {
            members.line.clear();
        }
        drained
    }

    /// The origin whose turn it is.
    fn first(&self) -> Option<Origin> {
        let lines = Class::ALL.into_iter().filter(|class| self.has_room(*class));
        let firsts = lines.filter_map(|class| self.classes[class as usize].line.first());
        firsts.min().map(|(_, _, origin)| origin.clone())
    }

    fn has_room(&self, class: Class) -> bool {
        let (slow, unproven) = (self.running(Class::Slow), self.running(Class::Unproven));
        let unsure = slow + unproven < share(self.lanes, 3, 4);
        !self.is_full()
            && match class {
                Class::Prompt => true,
                Class::Unproven => unsure,
                Class::Slow => unsure && slow < share(self.lanes, 1, 2),
            }
    }

    /// Files an origin under its class, and in line where it has a lane to start and may. True: it stands where it stood.
    fn file(&mut self, origin: &Origin, now: Instant) -> bool {
        let Some(slot) = self.origins.get_mut(origin) else {
            return true;
        };
        let (was, stood) = (slot.class, slot.place);
        slot.class = slot.pace.class(now);
        if slot.class != was {
            let before = &mut self.classes[was as usize];
            before.running = before.running.saturating_sub(slot.running);
            self.classes[slot.class as usize].running += slot.running;
        }
        let may = slot.running < slot.pace.lanes(now, self.lanes_per_origin) && !slot.waiting.is_empty();
        let place = may.then(|| {
            // Among its equals it stands where it stood, or behind them.
            let ticket = stood
                .filter(|(running, _)| *running == slot.running)
                .map_or(self.ticket, |stood| stood.1);
            (slot.running, ticket)
        });
        if (slot.class, place) == (was, stood) {
            return true;
        }
        slot.place = place;
        let class = slot.class;
        if let Some((running, ticket)) = stood {
            self.classes[was as usize]
                .line
                .remove(&(running, ticket, origin.clone()));
        }
        if let Some((running, ticket)) = place {
            self.ticket = self.ticket.max(ticket) + 1;
            self.classes[class as usize]
                .line
                .insert((running, ticket, origin.clone()));
        }
        false
    }

    /// Keeps of an origin that has nothing to do how it answered.
    fn forget_idle(&mut self, origin: &Origin) {
        let is_idle = |slot: &Slot| slot.running == 0 && slot.waiting.is_empty();
        if !self.origins.get(origin).is_some_and(is_idle) {
            return;
        }
        if let Some(slot) = self.origins.remove(origin) {
            if self.idle.len() >= REMEMBERED {
                self.idle.clear();
            }
            self.idle.insert(origin.clone(), slot.pace);
        }
    }
}

/// A part of the lanes, never none.
fn share(lanes: usize, part: usize, of: usize) -> usize {
    (lanes * part / of).max(1)
}

#[cfg(test)]
mod tests;
