//! One process, as the service would run it: the same calls in the same order, without network and log.

use std::{sync::Arc, time::Duration};

use fedsx_kernel::{
    delivery::{
        claim::{POST_TIMEOUT, may_post},
        outcome::Outcome,
    },
    origin::Origin,
};
use futures::future::join_all;
use jiff::SignedDuration;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{Postgres, Town};
use crate::{
    lane::LaneId,
    ledger::{Attempt, Claim, ClaimToken, Claims as _, Probe, Records as _, Report, Sweeps as _, Verdict},
    parking::Parking,
};

type Letter = (Report, oneshot::Sender<Verdict>);

pub(super) struct Process {
    pub(super) owner: String,
    pub(super) ledger: Postgres,
    pub(super) town: Arc<Town>,
    parking: Parking,
}

/// Ends a POST whose sender dies.
struct Post<'a>(&'a Town, LaneId);

impl Drop for Post<'_> {
    fn drop(&mut self) {
        self.0.oracle().hangs_up(self.1);
    }
}

pub(super) async fn pause(millis: u64) {
    sleep(Duration::from_millis(rand::random_range(0..=millis))).await;
}

impl Process {
    pub(super) fn new(owner: String, ledger: Postgres, town: Arc<Town>) -> Self {
        let parking = Parking {
            ledger: Arc::new(ledger.clone()),
        };
        Self {
            owner,
            ledger,
            town,
            parking,
        }
    }

    /// Runs until it is over; one that crashes starts anew.
    pub(super) async fn live(&self, crashes: bool) {
        while !self.town.is_over() {
            self.town.oracle().forgets(&self.owner);
            self.ledger.forget_claims(&self.owner).await.unwrap();
            let life = if crashes {
                rand::random_range(100..2_500)
            } else {
                600_000
            };
            let (letters, received) = mpsc::channel(64);
            // The recorder ends when nobody is left who sends.
            let send = async move {
                tokio::join!(self.work(&letters), self.probe(&letters));
            };
            tokio::select! {
                _ = async { tokio::join!(send, self.record(received), self.sweep(), self.fan_out(), self.catch_up()) } => {}
                () = sleep(Duration::from_millis(life)) => self.town.oracle().crashes += 1,
            }
        }
    }

    async fn work(&self, letters: &mpsc::Sender<Letter>) {
        while !self.town.is_over() {
            let due = self.town.consume(8);
            if due.is_empty() {
                pause(10).await;
                continue;
            }
            let lanes: Vec<_> = due.iter().map(|due| due.lane).collect();
            let token = ClaimToken::new(&self.owner, rand::random());
            let asked = self.town.oracle().asks();
            let claims = self.ledger.claim(&lanes, &token).await.unwrap();
            for claim in &claims {
                self.town.oracle().claimed(claim, asked);
            }
            join_all(claims.into_iter().map(|claim| self.send(claim, letters))).await;
        }
    }

    async fn probe(&self, letters: &mpsc::Sender<Letter>) {
        while !self.town.is_over() {
            let now = self.town.now();
            let unwell = self.ledger.unwell().await.unwrap();
            for (origin, _) in unwell.into_iter().filter(|(_, peer)| peer.probes(now)) {
                let token = ClaimToken::new(&self.owner, rand::random());
                let asked = self.town.oracle().asks();
                let claim = self
                    .ledger
                    .claim_probe(&origin, Probe::Due, &token)
                    .await
                    .unwrap();
                if let Some(claim) = claim {
                    self.town.oracle().claimed(&claim, asked);
                    self.send(claim, letters).await;
                }
            }
            for origin in self.ledger.to_park().await.unwrap() {
                self.park(&origin).await;
            }
            pause(40).await;
        }
    }

    /// As the service's sender does.
    async fn send(&self, claim: Claim, letters: &mpsc::Sender<Letter>) {
        for owed in &claim.owed {
            let now = self.town.now();
            if owed.next_at > now || !may_post(claim.until, now, POST_TIMEOUT) {
                break;
            }
            self.town.oracle().sends(claim.lane.id, now);
            let post = Post(&self.town, claim.lane.id);
            pause(3).await;
            let outcome = self.town.oracle().answers(&claim, owed.position);
            drop(post);
            if rand::random_range(0..80) == 0 {
                // Longer than the claim is good for, by the town's clock.
                pause(3_000).await;
            }
            let attempt = Attempt {
                position: owed.position,
                outcome,
                at: self.town.now(),
                actor: None,
                status: 0,
                cause: String::new(),
                jitter: rand::random(),
            };
            let verdict = report(&claim, vec![attempt], false, letters).await;
            if outcome != Outcome::Delivered {
                break;
            }
            if claim.peer.failing_since.is_some() && !verdict.await.unwrap().mine {
                return;
            }
        }
        self.town.oracle().releases(&claim);
        let verdict = report(&claim, Vec::new(), true, letters).await.await.unwrap();
        if !verdict.mine {
            self.town.oracle().lost += 1;
        }
        if verdict.due {
            let (lane, origin) = (claim.lane.id, claim.lane.origin);
            self.town.publish(vec![crate::broker::Due { lane, origin }]);
        }
    }

    async fn record(&self, mut received: mpsc::Receiver<Letter>) {
        let mut batch = Vec::new();
        while received.recv_many(&mut batch, 64).await > 0 {
            let (reports, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
            let verdicts = self.ledger.record(&reports).await.unwrap();
            for (answer, verdict) in answers.into_iter().zip(verdicts.reports) {
                let _ = answer.send(verdict);
            }
            for origin in verdicts.park {
                self.park(&origin).await;
            }
        }
    }

    async fn park(&self, origin: &Origin) {
        self.town.oracle().parkings += 1;
        self.parking.park(origin).await;
    }

    async fn sweep(&self) {
        while !self.town.is_over() {
            let due = self.ledger.sweep(100).await.unwrap();
            self.town.publish(due);
            pause(60).await;
        }
    }
}

async fn report(
    claim: &Claim,
    attempts: Vec<Attempt>,
    release: bool,
    letters: &mpsc::Sender<Letter>,
) -> oneshot::Receiver<Verdict> {
    let report = Report {
        lane: claim.lane.id,
        token: claim.token.clone(),
        attempts,
        release,
        pause: SignedDuration::ZERO,
    };
    let (answer, verdict) = oneshot::channel();
    let _ = letters.send((report, answer)).await;
    verdict
}
