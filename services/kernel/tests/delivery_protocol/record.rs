//! Recording: one transaction that reads the lane's claim and each row, and settles them.

use fedsx_kernel::delivery::outcome::Outcome;

use crate::{
    setup::Setup,
    state::{Batch, Cell, Nature, POSITIONS, Place, REPLAY, State, Violation, has, lanes_of, origin_of},
    values::{self, JITTER, NOW},
    world::World,
};

impl World {
    /// What an attempt of the batch means.
    pub(crate) fn outcome(&self, batch: &Batch, nature: Nature) -> Outcome {
        let classified = (self.rules.classify)(values::answer(nature));
        let alive_at = values::alive_at(batch.sibling_answered);
        (self.rules.attribute)(classified, NOW, alive_at, Some(values::actor(nature)))
    }

    pub(crate) fn record(&self, state: &mut State, worker: u8, goes_on: bool) -> Result<(), Violation> {
        let Some(batch) = state.workers[usize::from(worker)].take() else {
            return Ok(());
        };
        if batch.left.is_some() {
            let lane = &mut state.claims[usize::from(batch.lane)];
            if !(self.rules.is_mine)(lane.as_ref(), &worker) {
                return Ok(());
            }
            if !goes_on {
                *lane = None;
            }
        }
        for position in 1..=POSITIONS {
            let nature = match batch.last {
                Some((last, nature)) if last == position => nature,
                _ if has(batch.delivered, position) => Nature::Accepts,
                _ if has(batch.refused, position) => Nature::Answers403,
                _ => continue,
            };
            self.record_one(state, &batch, position, nature)?;
        }
        if goes_on {
            let last = batch.last.map_or(0, |(last, _)| 1 << last);
            let todo = batch.todo & !(batch.delivered | batch.refused | batch.passed | last);
            state.workers[usize::from(worker)] = Some(Batch {
                todo,
                delivered: 0,
                refused: 0,
                passed: 0,
                last: None,
                ..batch
            });
        }
        Ok(())
    }

    fn record_one(
        &self,
        state: &mut State,
        batch: &Batch,
        position: u8,
        nature: Nature,
    ) -> Result<(), Violation> {
        let origin = origin_of(batch.lane);
        let outcome = self.outcome(batch, nature);
        let before = state.row(batch.lane, position);
        if before != Cell::None
            && let Some(settled) = (self.rules.settle)(values::row(before), outcome, NOW, JITTER)
        {
            let after = values::cell(settled);
            if !before.is_pending() && after != before {
                return Err(Violation::EndedOverwritten);
            }
            *state.row_mut(batch.lane, position) = after;
            if after.is_pending() && batch.lane != REPLAY {
                self.end_surplus(state, batch.lane, (self.rules.takes_none)(outcome));
                if nature == Nature::Answers500 && self.surplus(state, batch.lane).next().is_some() {
                    return Err(Violation::Surplus);
                }
            }
        }
        let peer = (self.rules.after)(self.peer(state, origin), outcome, NOW, JITTER);
        World::write(state, origin, peer);
        let answered = !matches!(nature, Nature::AnswerLost | Nature::Down | Nature::DarkPoison);
        let parked = matches!(state.peer(origin).place, Place::Parked(_));
        let account = state.peer_mut(origin);
        account.failed = !answered && !parked;
        account.answered = parked && (account.answered || answered);
        if answered {
            sibling_answers(&self.setup, state, batch.lane);
        }
        Ok(())
    }
}

impl World {
    /// The oldest that a lane owes beyond what it may.
    fn surplus(&self, state: &State, lane: u8) -> impl Iterator<Item = u8> + use<> {
        let pending = (1..=POSITIONS)
            .rev()
            .filter(|&position| state.row(lane, position).is_pending());
        pending.skip(self.setup.most_owed).collect::<Vec<_>>().into_iter()
    }

    fn end_surplus(&self, state: &mut State, lane: u8, takes_none: bool) {
        for position in self.surplus(state, lane).filter(|_| takes_none) {
            *state.row_mut(lane, position) = Cell::Dead;
        }
    }
}

/// The workers that have just failed in other lanes of the origin see that it lives.
fn sibling_answers(setup: &Setup, state: &mut State, lane: u8) {
    if !setup.busy_siblings {
        return;
    }
    for batch in state.workers.iter_mut().flatten() {
        let sibling = lanes_of(origin_of(lane)).any(|other| other == batch.lane) && batch.lane != lane;
        if sibling && batch.last.is_some() {
            batch.sibling_answered = true;
        }
    }
}
