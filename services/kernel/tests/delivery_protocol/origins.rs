//! Fan-out, parking, catch-up and the end of the follows: the transactions that lock the cursor's row.

use crate::{
    entry::Entry,
    state::{Cell, FanOut, LANES, ORIGINS, POSITIONS, Place, State, Violation, has, lanes_of, origin_of},
    values::{self, JITTER, NOW},
    world::{Action, World},
};
use fedsx_kernel::delivery::{
    catch_up::Page,
    outcome::Outcome,
    peer::{self, Peer},
};

impl World {
    pub(crate) fn fan_out_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let fan_outs = if self.setup.two_fan_outs { 2 } else { 1 };
        for fan_out in 0..fan_outs {
            if fan_out != state.lease {
                actions.push(Action::LeaseMoves(fan_out));
            }
            let reading = state.fan_out[usize::from(fan_out)] != FanOut::Idle;
            let due = fan_out == state.lease && self.is_fan_out_due(state);
            if reading {
                actions.push(Action::FanOutCrashes(fan_out));
            } else if due && self.fan_out_is_slow() {
                actions.push(Action::FanOutReads(fan_out));
            }
            if reading || due && !self.fan_out_is_slow() {
                actions.push(Action::FanOutCommits {
                    fan_out,
                    published: true,
                });
                if self.setup.broker {
                    actions.push(Action::FanOutCommits {
                        fan_out,
                        published: false,
                    });
                }
            }
        }
    }

    /// Whether anything that happens between fan-out's reads and its transaction matters.
    fn fan_out_is_slow(&self) -> bool {
        self.setup.two_fan_outs || !self.rules.standings_under_lock
    }

    fn is_fan_out_due(&self, state: &State) -> bool {
        let waiting = (0..ORIGINS).any(|origin| self.waits(state, origin));
        (self.rules.due)(state.cursor.into(), self.head(state).into(), waiting)
    }

    fn waits(&self, state: &State, origin: u8) -> bool {
        (self.rules.waits)(&self.peer(state, origin), state.pending(origin).next().is_some())
    }

    /// The origins that fan-out writes rows for.
    fn takes(&self, state: &State) -> u8 {
        let takes = (0..ORIGINS).filter(|&origin| (self.rules.takes_rows)(&self.peer(state, origin)));
        takes.fold(0, |mask, origin| mask | 1 << origin)
    }

    pub(crate) fn fan_out_step(&self, state: &mut State, action: Action) -> Result<(), Violation> {
        match action {
            Action::FanOutReads(fan_out) => {
                let takes = if self.rules.standings_under_lock {
                    0
                } else {
                    self.takes(state)
                };
                state.fan_out[usize::from(fan_out)] = FanOut::Read {
                    cursor: state.cursor,
                    takes,
                };
                Ok(())
            }
            Action::FanOutCrashes(fan_out) => {
                state.fan_out[usize::from(fan_out)] = FanOut::Idle;
                Ok(())
            }
            Action::FanOutCommits { fan_out, published } => {
                let read = std::mem::take(&mut state.fan_out[usize::from(fan_out)]);
                let FanOut::Read { cursor, takes } = read else {
                    return self.fan_out_commits(state, None, published);
                };
                if fan_out != state.lease || cursor != state.cursor {
                    return Ok(()); // Fenced: the lease's epoch or the cursor is another.
                }
                self.fan_out_commits(
                    state,
                    (!self.rules.standings_under_lock).then_some(takes),
                    published,
                )
            }
            _ => Ok(()),
        }
    }

    fn fan_out_commits(
        &self,
        state: &mut State,
        takes: Option<u8>,
        published: bool,
    ) -> Result<(), Violation> {
        let found = state.cursor;
        if state.cursor < self.head(state) {
            let position = state.cursor + 1;
            let log = self.logs.get(state.log);
            let entry = log.entry(position);
            let owed = log.owed(position, position);
            self.fold(state, entry);
            let takes = takes.unwrap_or_else(|| self.takes(state));
            let lanes = (0..LANES).filter(|&lane| has(owed, lane) && has(takes, origin_of(lane)));
            for lane in lanes {
                write_row(state, lane, position)?;
                if published {
                    state.queue |= if self.setup.broker { 1 << lane } else { 0 };
                }
            }
            state.cursor = position;
        }
        let cursor = if self.rules.unparks_at_new_cursor {
            state.cursor
        } else {
            found
        };
        for origin in 0..ORIGINS {
            if self.waits(state, origin) {
                let peer = (self.rules.unparked)(self.peer(state, origin), cursor.into());
                World::write(state, origin, peer);
            }
        }
        Ok(())
    }

    /// What operators and delivery decided takes effect.
    fn fold(&self, state: &mut State, entry: Entry) {
        let (origin, through, end, ends) = match entry {
            Entry::Block(origin) => {
                if self.rules.block_forgets_peer {
                    World::write(state, origin, Peer::LIVE);
                }
                (origin, POSITIONS, Cell::Refused, self.rules.block_ends_pending)
            }
            Entry::Gone { origin, through, .. } => {
                let peer = (self.rules.given_up)(self.peer(state, origin), through.into(), NOW);
                World::write(state, origin, peer);
                (origin, through, Cell::Dead, self.rules.ending_ends_pending)
            }
            _ => return,
        };
        for lane in lanes_of(origin).filter(|_| ends) {
            for position in 1..=through {
                let row = state.row_mut(lane, position);
                *row = if row.is_pending() { end } else { *row };
            }
        }
        for batch in state
            .workers
            .iter_mut()
            .flatten()
            .filter(|batch| origin_of(batch.lane) == origin)
        {
            batch.before_end = true;
        }
    }

    pub(crate) fn origin_step(&mut self, state: &mut State, action: Action) -> Result<(), Violation> {
        match action {
            Action::Parks(origin) => {
                if !state.peer(origin).failed {
                    return Err(Violation::ParkedThoughAlive);
                }
                let peer = (self.rules.parked)(self.peer(state, origin), state.cursor.into(), NOW);
                World::write(state, origin, peer);
                state.peer_mut(origin).failed = false;
                if !self.rules.parking_keeps_rows {
                    for (lane, position) in state.pending(origin).collect::<Vec<_>>() {
                        *state.row_mut(lane, values::small(position)) = Cell::None;
                    }
                }
            }
            Action::PageReads(origin) => {
                let page = (self.rules.page)(
                    &self.peer(state, origin),
                    state.cursor.into(),
                    self.setup.page.into(),
                );
                state.page = page.map(|page| (origin, values::small(page.from), values::small(page.to)));
                if !self.setup.slow_pages {
                    return self.page_commits(state);
                }
            }
            Action::PageCommits => return self.page_commits(state),
            Action::PageCrashes => state.page = None,
            Action::EndingDecided(origin) => {
                let followers = self.logs.get(state.log).open(state.cursor, origin);
                state.ending = Some((origin, followers, state.cursor));
            }
            Action::EndingAppended => {
                if let Some((origin, followers, through)) = state.ending.take() {
                    state.log = self.logs.append(
                        state.log,
                        Entry::Gone {
                            origin,
                            followers,
                            through,
                        },
                    );
                }
            }
            Action::SiblingAnswers(origin) => {
                let peer = (self.rules.after)(self.peer(state, origin), Outcome::Delivered, NOW, JITTER);
                World::write(state, origin, peer);
                state.peer_mut(origin).failed = false;
                for batch in state.workers.iter_mut().flatten() {
                    batch.sibling_answered |= origin_of(batch.lane) == origin && batch.last.is_some();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn page_commits(&self, state: &mut State) -> Result<(), Violation> {
        let Some((origin, from, to)) = state.page.take() else {
            return Ok(());
        };
        let read = Peer {
            standing: peer::Standing::CatchingUp { at: from.into() },
            ..Peer::LIVE
        };
        let locked = self.peer(state, origin);
        if !(self.rules.commits)(&read, &locked) {
            return Ok(());
        }
        let log = self.logs.get(state.log);
        for position in from..=to {
            let owed = log.owed(state.cursor, position);
            let known = if self.rules.catch_up_makes_lanes {
                u8::MAX
            } else {
                state.known
            };
            for lane in lanes_of(origin).filter(|&lane| has(owed & known, lane)) {
                write_row(state, lane, position)?;
            }
        }
        let page = Page {
            from: from.into(),
            to: to.into(),
        };
        World::write(
            state,
            origin,
            (self.rules.advanced)(locked, page, state.cursor.into()),
        );
        Ok(())
    }
}

/// Inserts a row, unless it is there.
fn write_row(state: &mut State, lane: u8, position: u8) -> Result<(), Violation> {
    state.known |= 1 << lane;
    let parked = matches!(state.peer(origin_of(lane)).place, Place::Parked(_));
    let row = state.row_mut(lane, position);
    if *row == Cell::None {
        *row = Cell::Fresh;
        if parked {
            return Err(Violation::RowWhileParked);
        }
    }
    Ok(())
}
