//! Answers that are held back.

use std::sync::Mutex;

use tokio_util::sync::CancellationToken;

use super::{Moment, lock};

/// The moments at which nobody hears anything.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<Vec<Hold>>);

#[derive(Debug, Clone)]
struct Hold {
    moment: Moment,
    reached: CancellationToken,
    over: CancellationToken,
}

/// An answer that is held back until this is dropped.
#[derive(Debug)]
pub struct Held(Hold);

impl Held {
    /// Waits until somebody waits for the answer.
    pub async fn reached(&self) {
        self.0.reached.cancelled().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.over.cancel();
    }
}

impl Holds {
    pub(super) fn at(&self, moment: Moment) -> Held {
        let hold = Hold {
            moment,
            reached: CancellationToken::new(),
            over: CancellationToken::new(),
        };
        let mut holds = lock(&self.0);
        holds.retain(|hold| !hold.over.is_cancelled());
        holds.push(hold.clone());
        Held(hold)
    }

    /// Waits for as long as a test wants it to at this moment.
    pub(super) async fn pass(&self, moment: &Moment) {
        let holds = lock(&self.0).clone();
        for hold in holds.iter().filter(|hold| hold.moment == *moment) {
            if !hold.over.is_cancelled() {
                hold.reached.cancel();
                hold.over.cancelled().await;
            }
        }
    }
}
