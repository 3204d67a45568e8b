//! What a process writes: fan-out's turns and the pages of catch-up.

use fedsx_kernel::{
    delivery::{
        catch_up::{advanced, commits, page},
        peer::Standing,
    },
    origin::Origin,
};
use jiff::SignedDuration;

use super::{
    HEAD, owed, peers,
    process::{Process, pause},
};
use crate::ledger::{Leases as _, Sweeps as _, Turns as _};

const TERM: SignedDuration = SignedDuration::from_secs(10);
const PAGE: u64 = 7;

fn name(origin: &Origin) -> &str {
    origin.authority().trim_end_matches(".example")
}

impl Process {
    pub(super) async fn fan_out(&self) {
        while !self.town.is_over() {
            if let Some(lease) = self.ledger.take_lease(&self.owner, TERM).await.unwrap() {
                while !self.town.is_over() && self.turn(lease.epoch).await {
                    pause(500).await;
                    if self
                        .ledger
                        .renew_lease(lease.epoch, TERM)
                        .await
                        .unwrap()
                        .is_none()
                    {
                        break;
                    }
                }
            }
            pause(50).await;
        }
    }

    /// False: the lease is somebody else's.
    async fn turn(&self, epoch: u64) -> bool {
        let mut turn = self.ledger.turn().await.unwrap();
        if turn.cursor().epoch != epoch {
            return false;
        }
        let first = turn.cursor().position + 1;
        let last = HEAD.min(first + rand::random_range(0..3));
        let standings = turn.peers(&peers()).await.unwrap();
        let mut rows = Vec::new();
        for position in first..=last {
            for origin in peers() {
                if standings.get(&origin).is_none_or(|peer| peer.takes_rows()) {
                    rows.extend(owed(position, name(&origin)));
                }
            }
        }
        let due = turn.insert(&rows).await.unwrap();
        let position = last.max(first - 1);
        let parked = turn.parked().await.unwrap();
        let waiting = parked
            .into_iter()
            .filter(|(_, peer, pending)| peer.waits(*pending));
        let unparked = waiting
            .map(|(origin, peer, _)| (origin, peer.unparked(position)))
            .collect();
        turn.put_peers(&unparked).await.unwrap();
        turn.advance(position).await.unwrap();
        turn.commit().await.unwrap();
        self.town.publish(due);
        true
    }

    pub(super) async fn catch_up(&self) {
        while !self.town.is_over() {
            for (origin, peer) in self.ledger.unwell().await.unwrap() {
                if matches!(peer.standing, Standing::CatchingUp { .. }) {
                    self.page(&origin).await;
                }
            }
            pause(40).await;
        }
    }

    async fn page(&self, origin: &Origin) {
        let mut turn = self.ledger.turn().await.unwrap();
        let read = turn.peers(std::slice::from_ref(origin)).await.unwrap()[origin];
        let Some(page) = page(&read, turn.cursor().position, PAGE) else {
            return;
        };
        drop(turn);
        pause(20).await;
        let mut turn = self.ledger.turn().await.unwrap();
        let locked = turn.peers(std::slice::from_ref(origin)).await.unwrap()[origin];
        if !commits(&read, &locked) {
            return;
        }
        let rows: Vec<_> = (page.from..=page.to)
            .flat_map(|position| owed(position, name(origin)))
            .collect();
        let due = turn.insert(&rows).await.unwrap();
        let caught_up = advanced(locked, page, turn.cursor().position);
        turn.put_peers(&[(origin.clone(), caught_up)].into())
            .await
            .unwrap();
        turn.commit().await.unwrap();
        self.town.oracle().pages += 1;
        self.town.publish(due);
    }
}
