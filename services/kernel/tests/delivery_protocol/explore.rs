//! Breadth first through every state, so that the trace to a violation is the shortest; then backwards from where
//! everything is done, by good steps alone, to find the states from which there is no way there.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, BuildHasherDefault, Hasher},
};

use crate::{
    state::{State, Violation},
    world::{Action, World},
};

/// What a run found.
pub(crate) struct Report {
    pub states: usize,
    pub violation: Option<(Violation, Vec<Action>)>,
}

/// More states than any run here should need: a script that has grown too large fails instead of eating the memory.
const MOST_STATES: usize = 3_000_000;

pub(crate) fn explore(world: &mut World) -> Report {
    let mut found = Found::default();
    found.add(world.start(), u32::MAX);
    let (mut good, mut actions, mut next) = (vec![], vec![], 0);
    while let Some(&state) = found.states.get(next) {
        let from = index(next);
        actions.clear();
        world.actions(&state, &mut actions);
        for &action in &actions {
            match world.step(&state, action) {
                Err(violation) => {
                    let mut trace = found.trace(world, from);
                    trace.push(action);
                    return Report {
                        states: found.states.len(),
                        violation: Some((violation, trace)),
                    };
                }
                Ok(Some(after)) => {
                    let to = found.add(after, from);
                    if world.is_good(action) {
                        good.push((to, from));
                    }
                }
                Ok(None) => {}
            }
        }
        assert!(
            found.states.len() < MOST_STATES,
            "the script is too large to explore"
        );
        next += 1;
    }
    let stuck = stuck(world, &found.states, good);
    let violation = stuck.map(|state| (Violation::Stuck, found.trace(world, state)));
    Report {
        states: found.states.len(),
        violation,
    }
}

/// The first state from which good steps never lead to one where everything is done.
fn stuck(world: &World, states: &[State], mut good: Vec<(u32, u32)>) -> Option<u32> {
    good.sort_unstable();
    let mut recovers: Vec<bool> = states.iter().map(|state| world.is_done(state)).collect();
    let mut queue: VecDeque<u32> = (0..)
        .zip(&recovers)
        .filter(|(_, done)| **done)
        .map(|(state, _)| state)
        .collect();
    while let Some(to) = queue.pop_front() {
        let first = good.partition_point(|step| step.0 < to);
        for &(_, from) in good[first..].iter().take_while(|step| step.0 == to) {
            if !std::mem::replace(&mut recovers[from as usize], true) {
                queue.push_back(from);
            }
        }
    }
    recovers.iter().position(|recovers| !recovers).map(index)
}

fn index(place: usize) -> u32 {
    u32::try_from(place).expect("fewer states than MOST_STATES")
}

/// The states found so far, each once, with the one it was found from; `places` is an open hash table over them.
#[derive(Default)]
struct Found {
    states: Vec<State>,
    parents: Vec<u32>,
    places: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

impl Found {
    fn add(&mut self, state: State, parent: u32) -> u32 {
        if self.places.len() < 2 * (self.states.len() + 1) {
            self.grow();
        }
        let place = self.place(&state);
        if self.places[place] == EMPTY {
            self.places[place] = index(self.states.len());
            self.states.push(state);
            self.parents.push(parent);
        }
        self.places[place]
    }

    fn place(&self, state: &State) -> usize {
        let mask = self.places.len() - 1;
        let hash = BuildHasherDefault::<Mix>::default().hash_one(state);
        let mut place = usize::try_from(hash & 0xffff_ffff).unwrap_or_default() & mask;
        while self.places[place] != EMPTY && self.states[self.places[place] as usize] != *state {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        self.places = vec![EMPTY; (4 * self.states.len()).next_power_of_two().max(1024)];
        for number in 0..self.states.len() {
            let place = self.place(&self.states[number]);
            self.places[place] = index(number);
        }
    }

    /// The shortest way to a state.
    fn trace(&self, world: &mut World, mut state: u32) -> Vec<Action> {
        let mut trace = vec![];
        while self.parents[state as usize] != u32::MAX {
            let parent = self.parents[state as usize];
            let (before, after) = (self.states[parent as usize], self.states[state as usize]);
            let mut actions = vec![];
            world.actions(&before, &mut actions);
            let taken = actions
                .into_iter()
                .find(|&action| world.step(&before, action) == Ok(Some(after)));
            trace.push(taken.expect("a state was found by some action of its parent"));
            state = parent;
        }
        trace.reverse();
        trace
    }
}

/// A fast hash of small integers; nobody here is hostile.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }
    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.unsigned_abs() as u64);
    }
}
