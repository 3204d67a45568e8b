//! The transitions: what may happen in a state, and what comes of it.

use fedsx_kernel::{delivery::peer::Peer, follow::Relation};

use crate::{
    entry::{self, Entry},
    logs::Logs,
    rules::Rules,
    setup::Setup,
    state::{
        Cell, FanOut, LANES, Nature, ORIGINS, POSITIONS, Place, REPLAY, REPLAYED, Standing, State, Violation,
        has, origin_of,
    },
    values::{self, NOW},
};

/// One step of the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Append,
    /// The lease goes to this fan-out; the other may not have noticed.
    LeaseMoves(u8),
    FanOutReads(u8),
    FanOutCommits {
        fan_out: u8,
        published: bool,
    },
    FanOutCrashes(u8),
    Claims {
        worker: u8,
        lane: u8,
    },
    /// With a lane whose turn it is.
    Probes {
        worker: u8,
        lane: u8,
    },
    Posts {
        worker: u8,
        nature: Nature,
    },
    /// A POST that started too late arrives.
    Lands {
        worker: u8,
    },
    /// Then the claim is released, or the lane goes on under it.
    Records {
        worker: u8,
        goes_on: bool,
    },
    Crashes {
        worker: u8,
    },
    ClaimAges(u8),
    Swept(u8),
    MessageRepeated(u8),
    MessagesLost,
    Parks(u8),
    PageReads(u8),
    PageCommits,
    PageCrashes,
    EndingDecided(u8),
    EndingAppended,
    SiblingAnswers(u8),
    /// An operator sends again what lane 0, or the replay lane, holds at a position.
    Replays {
        lane: u8,
        position: u8,
    },
}

pub(crate) struct World {
    pub setup: Setup,
    pub rules: Rules,
    pub logs: Logs,
    /// How the receiver's own relation stands before and after it has its Accept.
    pub receiver: [Option<Relation>; 2],
}

impl World {
    pub(crate) fn new(setup: Setup, rules: Rules) -> Self {
        let written = if setup.one_by_one { &[] } else { setup.script };
        let receiver = [entry::relation(3, false), entry::relation(3, true)];
        Self {
            setup,
            rules,
            logs: Logs::new(rules, setup.prelude, written),
            receiver,
        }
    }

    pub(crate) fn start(&self) -> State {
        State::new(0, self.logs.get(0).lanes(0))
    }

    pub(crate) fn head(&self, state: &State) -> u8 {
        self.logs.get(state.log).head()
    }

    pub(crate) fn peer(&self, state: &State, origin: u8) -> Peer {
        values::peer(state.peer(origin))
    }

    fn gones(&self, state: &State) -> usize {
        self.logs
            .get(state.log)
            .entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Gone { .. }))
            .count()
    }

    /// Everything that may happen.
    pub(crate) fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let written = usize::from(self.head(state)) - self.gones(state);
        if self.setup.one_by_one && written < self.setup.script.len() {
            actions.push(Action::Append);
        }
        self.fan_out_actions(state, actions);
        for worker in 0..self.setup.workers {
            self.worker_actions(state, worker, actions);
        }
        for lane in 0..LANES {
            self.lane_actions(state, lane, actions);
        }
        if self.setup.broker && state.queue != 0 {
            actions.push(Action::MessagesLost);
        }
        for origin in 0..ORIGINS {
            self.origin_actions(state, origin, actions);
        }
        if self.setup.replays {
            self.replay_actions(state, actions);
        }
        if state.page.is_some() && self.setup.slow_pages {
            actions.extend([Action::PageCommits, Action::PageCrashes]);
        }
        if state.ending.is_some() && self.gones(state) == 0 {
            actions.push(Action::EndingAppended);
        }
    }

    fn lane_actions(&self, state: &State, lane: u8, actions: &mut Vec<Action>) {
        if state.claims[usize::from(lane)].is_some() {
            actions.push(Action::ClaimAges(lane));
        }
        if self.setup.broker && !has(state.queue, lane) {
            if self.is_claimable(state, lane) {
                actions.push(Action::Swept(lane));
            }
            if has(state.known, lane) {
                actions.push(Action::MessageRepeated(lane));
            }
        }
    }

    fn replay_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let blocked = self
            .logs
            .get(state.log)
            .is_blocked(state.cursor, origin_of(REPLAYED));
        if blocked && self.rules.replay_spares_the_blocked {
            return;
        }
        for lane in [REPLAYED, REPLAY] {
            for position in 1..=POSITIONS {
                if matches!(state.row(lane, position), Cell::Refused | Cell::Dead) {
                    actions.push(Action::Replays { lane, position });
                }
            }
        }
    }

    fn origin_actions(&self, state: &State, origin: u8, actions: &mut Vec<Action>) {
        let peer = self.peer(state, origin);
        if self.setup.parking && (self.rules.parks)(&peer, NOW) {
            actions.push(Action::Parks(origin));
        }
        if state.page.is_none()
            && (self.rules.page)(&peer, state.cursor.into(), self.setup.page.into()).is_some()
        {
            actions.push(Action::PageReads(origin));
        }
        let undecided = state.ending.is_none() && self.gones(state) == 0;
        if self.setup.endings && undecided && (self.rules.is_gone)(&peer, NOW) {
            actions.push(Action::EndingDecided(origin));
        }
        let parked = matches!(state.peer(origin).place, Place::Parked(_));
        if self.setup.busy_siblings && !parked {
            actions.push(Action::SiblingAnswers(origin));
        }
    }

    /// Whether an action needs neither failure nor a new entry: by such steps alone everything must come to its end.
    pub(crate) fn is_good(&self, action: Action) -> bool {
        match action {
            Action::Append
            | Action::LeaseMoves(_)
            | Action::FanOutCommits { published: false, .. }
            | Action::FanOutCrashes(_)
            | Action::Crashes { .. }
            | Action::MessagesLost
            | Action::MessageRepeated(_)
            | Action::PageCrashes
            | Action::EndingDecided(_)
            | Action::Replays { .. } => false,
            Action::Posts { nature, .. } => match nature {
                Nature::Accepts | Nature::Poison | Nature::DarkPoison => true,
                Nature::Answers403 => self.setup.receiver_checks,
                _ => false,
            },
            _ => true,
        }
    }

    /// The state after an action; none where nothing changes.
    ///
    /// # Errors
    /// What it violates.
    pub(crate) fn step(&mut self, before: &State, action: Action) -> Result<Option<State>, Violation> {
        let mut state = *before;
        match action {
            Action::Append => {
                let next = usize::from(self.head(before)) - self.gones(before);
                state.log = self.logs.append(before.log, self.setup.script[next]);
            }
            Action::LeaseMoves(fan_out) => {
                state.lease = fan_out;
                state.fan_out[usize::from(fan_out)] = FanOut::Idle;
            }
            Action::FanOutReads(_) | Action::FanOutCommits { .. } | Action::FanOutCrashes(_) => {
                self.fan_out_step(&mut state, action)?;
            }
            Action::Claims { .. }
            | Action::Probes { .. }
            | Action::Posts { .. }
            | Action::Lands { .. }
            | Action::Records { .. }
            | Action::Crashes { .. } => self.worker_step(&mut state, action)?,
            Action::ClaimAges(lane) => state.age(lane),
            Action::Swept(lane) | Action::MessageRepeated(lane) => state.queue |= 1 << lane,
            Action::MessagesLost => state.queue = 0,
            Action::Replays { lane, position } => {
                let to = if self.rules.replay_leaves_the_lane {
                    *state.row_mut(lane, position) = Cell::None;
                    state.known |= 1 << REPLAY;
                    REPLAY
                } else {
                    lane
                };
                *state.row_mut(to, position) = Cell::Fresh;
            }
            Action::Parks(_)
            | Action::PageReads(_)
            | Action::PageCommits
            | Action::PageCrashes
            | Action::EndingDecided(_)
            | Action::EndingAppended
            | Action::SiblingAnswers(_) => self.origin_step(&mut state, action)?,
        }
        Ok((state != *before).then_some(state))
    }

    /// Whether everything owed by right has come to its end, and every origin is live.
    pub(crate) fn is_done(&self, state: &State) -> bool {
        let log = self.logs.get(state.log);
        state.cursor == log.head()
            && state.peers.iter().all(|peer| peer.place == Place::Live)
            && (0..LANES).all(|lane| {
                (1..=log.head()).all(|position| {
                    let ended = |lane: u8| {
                        let row = state.row(lane, position);
                        has(state.received[usize::from(lane)], position)
                            || row == Cell::Dead
                            || row == Cell::Refused && !self.setup.receiver_checks
                    };
                    !log.is_due(lane, position)
                        || ended(lane)
                        || log.is_ended(state.cursor, lane, position)
                        || lane == REPLAYED && ended(REPLAY)
                })
            })
            && (1..=log.head()).all(|position| !state.row(REPLAY, position).is_pending())
    }

    /// Writes `peer` where the origin's row is.
    pub(crate) fn write(state: &mut State, origin: u8, peer: Peer) {
        let before: Standing = *state.peer(origin);
        let mut after = values::standing(peer, before);
        // A change of standing starts the account of what happened anew.
        if after.place != before.place {
            after.answered = false;
        }
        *state.peer_mut(origin) = after;
    }

    /// Whether the lane is any worker's to claim.
    pub(crate) fn is_claimable(&self, state: &State, lane: u8) -> bool {
        let origin = origin_of(lane);
        let row = values::lane(state.claim(lane), state.has_pending(lane));
        let siblings = state.sibling_is_claimed(lane);
        (self.rules.claimable)(row, &self.peer(state, origin), siblings, NOW)
    }
}
