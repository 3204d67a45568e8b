//! Workers: claim, POST, record.

use fedsx_kernel::delivery::{
    claim::POST_TIMEOUT,
    outcome::Outcome,
    row::{DeliveryState, Next, Row},
};

use crate::{
    entry::Entry,
    state::{
        BATCH, Batch, Left, Nature, POSITIONS, Place, REPLAY, State, Violation, has, origin_of, owed_by,
    },
    values::{self, JITTER, NOW},
    world::{Action, World},
};

impl World {
    pub(crate) fn worker_actions(&self, state: &State, worker: u8, actions: &mut Vec<Action>) {
        let Some(batch) = &state.workers[usize::from(worker)] else {
            // Workers are alike: the second moves while the first is busy.
            if worker == 0 || state.workers[0].is_some() {
                self.idle_actions(state, worker, actions);
            }
            return;
        };
        actions.push(Action::Crashes { worker });
        if batch.flying != 0 {
            actions.push(Action::Lands { worker });
            return;
        }
        match self.next_post(batch) {
            Some(position) => {
                let post = |nature| Action::Posts { worker, nature };
                match self.forced(state, batch.lane, position) {
                    Some(nature) => actions.push(post(nature)),
                    None => {
                        actions.push(post(Nature::Accepts));
                        actions.extend(self.setup.failures.iter().copied().map(post));
                    }
                }
            }
            None => {
                actions.push(Action::Records {
                    worker,
                    goes_on: false,
                });
                if self.may_go_on(state, batch) {
                    actions.push(Action::Records {
                        worker,
                        goes_on: true,
                    });
                }
            }
        }
    }

    fn idle_actions(&self, state: &State, worker: u8, actions: &mut Vec<Action>) {
        for lane in 0..crate::state::LANES {
            let offered = !self.setup.broker || has(state.queue, lane);
            if offered && self.is_claimable(state, lane) {
                actions.push(Action::Claims { worker, lane });
            }
        }
        for lane in 0..crate::state::LANES {
            if self.probe(state, lane).is_some() {
                actions.push(Action::Probes { worker, lane });
            }
        }
    }

    /// The row that a probe would send now, were it this lane's turn.
    fn probe(&self, state: &State, turn: u8) -> Option<(u8, u8)> {
        let origin = origin_of(turn);
        if !state.has_pending(turn) || !(self.rules.probes)(&self.peer(state, origin), NOW) {
            return None;
        }
        let pending = state.pending(origin);
        let pending = pending.map(|(lane, position)| (lane, position, values::due(lane == turn)));
        let (lane, position) = (self.rules.probe)(pending.collect())?;
        let claim = state.claim(lane).map(values::claim_until);
        let free = !self.rules.probe_takes_claim || (self.rules.is_free)(claim, NOW);
        free.then(|| (lane, values::small(position)))
    }

    /// What this delivery always ends in.
    fn forced(&self, state: &State, lane: u8, position: u8) -> Option<Nature> {
        let lane = owed_by(lane);
        if let Some((at, on, nature)) = self.setup.poison
            && (at, on) == (position, lane)
        {
            return Some(nature);
        }
        let log = self.logs.get(state.log);
        let checked = self.setup.receiver_checks && lane == 0 && log.entry(position) == Entry::Post;
        let accepted = (1..position)
            .any(|p| matches!(log.entry(p), Entry::AcceptAside(..)) && has(state.received[1], p));
        let relation = self.receiver[usize::from(accepted)].as_ref();
        (checked && !relation.is_some_and(self.rules.admits)).then_some(Nature::Answers403)
    }

    /// The position that the worker sends next, if it may.
    fn next_post(&self, batch: &Batch) -> Option<u8> {
        let rest = batch.todo & !(batch.delivered | batch.refused | batch.passed);
        if batch.last.is_some() || rest == 0 {
            return None;
        }
        if let Some(left) = batch.left {
            (self.rules.may_post)(values::claim_until(left), NOW, POST_TIMEOUT).then_some(())?;
        }
        u8::try_from(rest.trailing_zeros()).ok()
    }

    pub(crate) fn worker_step(&mut self, state: &mut State, action: Action) -> Result<(), Violation> {
        match action {
            Action::Claims { worker, lane } => {
                let peer = state.peer(origin_of(lane));
                let crowded = peer.failed && state.sibling_is_claimed(lane);
                if matches!(peer.place, Place::Parked(_)) || crowded {
                    return Err(Violation::Crowded);
                }
                state.queue &= !(1 << lane);
                let pending = (1..=POSITIONS).filter(|&position| state.row(lane, position).is_pending());
                let todo = pending
                    .take(BATCH as usize)
                    .fold(0, |todo, position| todo | 1 << position);
                take(state, worker, lane, todo, true);
                Ok(())
            }
            Action::Probes { worker, lane } => {
                if state.peer(origin_of(lane)).answered {
                    return Err(Violation::ParkedThoughAlive);
                }
                if let Some((lane, position)) = self.probe(state, lane) {
                    take(state, worker, lane, 1 << position, self.rules.probe_takes_claim);
                }
                Ok(())
            }
            Action::Posts { worker, nature } => self.post(state, worker, nature),
            Action::Lands { worker } => {
                let Some(batch) = state.workers[usize::from(worker)] else {
                    return Ok(());
                };
                self.receive(state, &batch, batch.flying)?;
                self.sent(state, worker, batch.flying, Nature::Accepts);
                Ok(())
            }
            Action::Records { worker, goes_on } => self.record(state, worker, goes_on),
            Action::Crashes { worker } => {
                let batch = state.workers[usize::from(worker)].take();
                if let Some(Batch {
                    lane,
                    left: Some(Left::Nothing),
                    ..
                }) = batch
                    && state.claims[usize::from(lane)] == Some(worker)
                {
                    state.claims[usize::from(lane)] = None;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn post(&self, state: &mut State, worker: u8, nature: Nature) -> Result<(), Violation> {
        let Some(batch) = state.workers[usize::from(worker)] else {
            return Ok(());
        };
        let Some(position) = self.next_post(&batch) else {
            return Ok(());
        };
        let late = batch.left.is_some_and(|left| left != Left::Enough);
        if late && nature == Nature::Accepts {
            if let Some(batch) = &mut state.workers[usize::from(worker)] {
                batch.flying = position;
            }
            return Ok(());
        }
        if matches!(nature, Nature::Accepts | Nature::AnswerLost) {
            self.receive(state, &batch, position)?;
        }
        self.sent(state, worker, position, nature);
        Ok(())
    }

    /// The worker has its answer, and goes on or not.
    fn sent(&self, state: &mut State, worker: u8, position: u8, nature: Nature) {
        let Some(mut batch) = state.workers[usize::from(worker)] else {
            return;
        };
        batch.flying = 0;
        batch.sibling_answered = false;
        let outcome = self.outcome(&batch, nature);
        match self.next_step(state, &batch, position, outcome) {
            Some(Next::Continue) if outcome == Outcome::Delivered => batch.delivered |= 1 << position,
            Some(Next::Continue) if outcome == Outcome::Refused => batch.refused |= 1 << position,
            // What is exempt from order is recorded by itself; the next may be sent before or after that.
            Some(Next::Continue) if batch.lane == REPLAY => batch.last = Some((position, nature)),
            Some(Next::Continue) => batch.passed |= 1 << position,
            _ => batch.last = Some((position, nature)),
        }
        state.workers[usize::from(worker)] = Some(batch);
    }

    /// What the worker does after an attempt, by what it knows of the row: that it was pending.
    fn next_step(&self, state: &State, batch: &Batch, position: u8, outcome: Outcome) -> Option<Next> {
        let row = values::row(state.row(batch.lane, position));
        let row = Row {
            state: DeliveryState::Pending,
            ..row
        };
        let settled = (self.rules.settle)(row, outcome, NOW, JITTER)?;
        let failing = state.peer(origin_of(batch.lane)).failing;
        Some(if batch.lane == REPLAY {
            (self.rules.next_exempt)(settled, outcome, failing)
        } else {
            (self.rules.next)(settled, failing)
        })
    }

    /// Whether there is more to send once the last attempt is recorded.
    fn may_go_on(&self, state: &State, batch: &Batch) -> bool {
        batch.last.is_some_and(|(last, nature)| {
            let more = batch.todo & !(batch.delivered | batch.refused | batch.passed | 1 << last) != 0;
            let outcome = self.outcome(batch, nature);
            let next = self.next_step(state, batch, last, outcome);
            more && (next == Some(Next::RecordFirst) || batch.lane == REPLAY && next == Some(Next::Continue))
        })
    }

    fn receive(&self, state: &mut State, batch: &Batch, position: u8) -> Result<(), Violation> {
        let received = &mut state.received[usize::from(batch.lane)];
        if has(*received, position) {
            return Ok(());
        }
        let later = *received >> position;
        *received |= 1 << position;
        let log = self.logs.get(state.log);
        if !log.is_due(owed_by(batch.lane), position) {
            return Err(Violation::Audience);
        }
        if batch.lane == REPLAY {
            let blocked = log.is_blocked(state.cursor, origin_of(REPLAY)) && !batch.before_end;
            return if blocked { Err(Violation::Blocked) } else { Ok(()) };
        }
        if later != 0 {
            return Err(Violation::Order);
        }
        if log.is_ended(state.cursor, batch.lane, position) && !batch.before_end {
            let blocked = log.entries.iter().any(|entry| matches!(entry, Entry::Block(_)));
            return Err(if blocked {
                Violation::Blocked
            } else {
                Violation::GivenUp
            });
        }
        Ok(())
    }
}

fn take(state: &mut State, worker: u8, lane: u8, todo: u8, claimed: bool) {
    if claimed {
        state.claims[usize::from(lane)] = Some(worker);
    }
    state.workers[usize::from(worker)] = Some(Batch {
        lane,
        todo,
        delivered: 0,
        refused: 0,
        passed: 0,
        last: None,
        flying: 0,
        left: claimed.then_some(Left::Enough),
        sibling_answered: false,
        before_end: false,
    });
}
