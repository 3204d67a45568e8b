//! The way of flows to the workers of this process.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use fedsx_kernel::{definition::EffectKind, flow::Status};
use tokio::sync::{Notify, mpsc};

use super::{Engine, FlowError, run::Run};
use crate::store::flows::{FlowRow, Holder};

/// Flows that may wait for a worker of this process; others are left to whoever has time.
const ROOM: usize = 1000;

/// The way to the workers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    runs: mpsc::Sender<Run>,
    pub(super) due: Arc<Notify>,
    /// The flows that this process works on, or is about to.
    held: Arc<Mutex<HashSet<String>>>,
}

pub(crate) fn queue() -> (Queue, mpsc::Receiver<Run>) {
    let (runs, receiver) = mpsc::channel(ROOM);
    let queue = Queue {
        runs,
        due: Arc::default(),
        held: Arc::default(),
    };
    (queue, receiver)
}

impl Queue {
    /// Something may be due.
    pub(crate) fn poke(&self) {
        self.due.notify_one();
    }

    pub(super) fn hold(&self, flow: &str) -> bool {
        self.held
            .lock()
            .is_ok_and(|mut held| held.insert(flow.to_owned()))
    }

    pub(super) fn free(&self, flow: &str) {
        if let Ok(mut held) = self.held.lock() {
            held.remove(flow);
        }
    }

    pub(super) fn held(&self) -> Vec<String> {
        let held = self.held.lock();
        held.map(|held| held.iter().cloned().collect())
            .unwrap_or_default()
    }
}

impl Engine {
    /// Has flows go on whose last transition was just written: by a worker of this process where it can and has room, else by
    /// whoever claims them.
    pub(super) async fn hand_over(&self, runs: Vec<Run>) -> Result<(), FlowError> {
        if runs.iter().any(|run| self.behind.version(&run.id) > 0) {
            // What is on the way would give back what is taken now.
            self.behind.flush().await;
        }
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        let mut room = self.queue.runs.capacity();
        for run in runs {
            let row = run.row();
            let can = EffectKind::parse(&row.needs).is_none_or(|kind| self.can(kind));
            let runs = row.status == Status::Running;
            if runs && can && room > 0 && self.queue.hold(&run.id) {
                room -= 1;
                ours.push((row, run));
            } else {
                others.push(row);
            }
        }
        if !others.is_empty() {
            self.store.put_flows(&others, Holder::Same).await?;
        }
        let (rows, runs): (Vec<FlowRow>, Vec<Run>) = ours.into_iter().unzip();
        let mut taken = HashSet::new();
        if !rows.is_empty() {
            let put = self
                .store
                .put_flows(&rows, Holder::Takes(&self.owner, self.term))
                .await;
            match put {
                Ok(ids) => taken.extend(ids),
                Err(error) => {
                    rows.iter().for_each(|row| self.queue.free(&row.id));
                    return Err(error.into());
                }
            }
        }
        for run in runs {
            let id = run.id.clone();
            // Another is at work on it, and learns of this by its next transition.
            if !taken.contains(&id) {
                self.queue.free(&id);
            } else if self.queue.runs.try_send(run).is_err() {
                // Somebody was faster: it is claimed when the claim has expired.
                self.queue.free(&id);
            }
        }
        if !others.is_empty() {
            self.queue.poke();
        }
        Ok(())
    }
}
