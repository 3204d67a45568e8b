//! Fan-out's transaction: ledger rows, audience, standings and cursor together.

use std::collections::{BTreeMap, BTreeSet};

use fedsx_kernel::{
    delivery::{peer::Peer, row::DeliveryState},
    flow::Webhook,
    follow::Event,
    origin::Origin,
};

use super::{entry::Noted, fold};
use crate::{
    audience,
    broker::Due,
    ledger::{Ledger, NewDelivery, Result, Turn},
};

/// Rows of one transaction, or those of one entry if it alone has more.
pub(crate) const ROWS: usize = 20_000;

/// What is said of deliveries to a blocked peer.
const BLOCKED: &str = "blocked";

/// What a turn did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The cursor is here now.
    pub(crate) position: u64,
    /// The lanes that have work.
    pub(crate) due: Vec<Due>,
    /// Origins whose parking ended.
    pub(crate) unparked: Vec<Origin>,
}

/// What a turn is taken under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) domain: &'a Origin,
    /// The lease's.
    pub(crate) epoch: u64,
    /// How far the turns before came.
    pub(crate) cursor: u64,
    /// How far the log was read.
    pub(crate) seen: u64,
}

/// Takes a turn over noted entries, which lie behind the cursor. Where they owe more than about `rows` rows, the next turn
/// begins after [`Done::position`]. None: the lease is somebody else's, or a database that crashed has lost the last turns;
/// whoever leads then goes on from where the ledger is.
pub(crate) async fn take(
    ledger: &dyn Ledger,
    around: Around<'_>,
    noted: &[Noted],
    rows: usize,
) -> Result<Option<Done>> {
    let turn = ledger.turn().await?;
    if turn.cursor().epoch != around.epoch || turn.cursor().position < around.cursor {
        return Ok(None);
    }
    let first = turn.cursor().position + 1;
    let from = noted.partition_point(|entry| entry.position < first);
    let writing = Writing {
        silent_until: turn.cursor().silent_until.unwrap_or(0),
        turn,
        domain: around.domain,
        peers: BTreeMap::new(),
        changed: BTreeSet::new(),
        rows: Vec::new(),
        written: 0,
        limit: rows,
        due: Vec::new(),
    };
    writing
        .run(noted.get(from..).unwrap_or_default(), around.seen)
        .await
        .map(Some)
}

struct Writing<'a> {
    turn: Box<dyn Turn>,
    domain: &'a Origin,
    silent_until: u64,
    /// The standings read so far, under the lock.
    peers: BTreeMap<Origin, Peer>,
    changed: BTreeSet<Origin>,
    rows: Vec<NewDelivery>,
    /// Rows in all, those that are flushed included.
    written: usize,
    limit: usize,
    due: Vec<Due>,
}

impl Writing<'_> {
    async fn run(mut self, noted: &[Noted], head: u64) -> Result<Done> {
        let mut position = head.max(self.turn.cursor().position);
        // Folded together is what certainly fits: the next turn must not fold anything again.
        for run in noted.chunk_by(|entry, _| !entry.is_wide()) {
            if self.written >= self.limit
                && let Some(next) = run.first()
            {
                position = next.position - 1;
                break;
            }
            fold::fold(&mut *self.turn, self.domain, run).await?;
            for entry in run {
                self.owe(entry).await?;
                self.end(entry).await?;
            }
        }
        self.flush().await?;
        let unparked = self.unpark(position).await?;
        self.turn.advance(position).await?;
        self.turn.commit().await?;
        Ok(Done {
            position,
            due: self.due,
            unparked,
        })
    }

    /// Sets down what an entry owes to live origins, or a webhook.
    async fn owe(&mut self, entry: &Noted) -> Result<()> {
        if entry.position <= self.silent_until {
            return Ok(());
        }
        if let Some(webhook) = &entry.webhook {
            return self.owe_webhook(entry, webhook).await;
        }
        let rows = audience::rows(&mut *self.turn, self.domain, entry, None).await?;
        self.know(rows.iter().map(|row| row.origin.clone()).collect())
            .await?;
        let peers = &self.peers;
        let takes = |row: &NewDelivery| peers.get(&row.origin).unwrap_or(&Peer::LIVE).takes_rows();
        let before = self.rows.len();
        self.rows.extend(rows.into_iter().filter(takes));
        self.written += self.rows.len() - before;
        Ok(())
    }

    /// Sets down a webhook, however its origin stands. To a blocked one it has ended at once.
    async fn owe_webhook(&mut self, entry: &Noted, webhook: &Webhook) -> Result<()> {
        let row = audience::webhook(self.domain, entry, webhook);
        let origin = row.origin.clone();
        self.rows.push(row);
        self.written += 1;
        let blocks = self.turn.blocks(std::slice::from_ref(&origin)).await?;
        if audience::is_blocked(&blocks, &origin, entry.position) {
            self.flush().await?;
            let state = DeliveryState::Refused;
            self.turn
                .end_pending(&origin, entry.position, state, BLOCKED)
                .await?;
        }
        Ok(())
    }

    /// Ends what an entry ends: a block, or the end of an origin's follows.
    async fn end(&mut self, entry: &Noted) -> Result<()> {
        let now = self.turn.now();
        let (origin, through, state, cause) = match &entry.event {
            Some(Event::Block { origin }) => (origin, entry.position, DeliveryState::Refused, BLOCKED),
            Some(Event::Gone { origin, through, .. }) if *through > 0 => (
                origin,
                *through,
                DeliveryState::Dead,
                "the peer was away for 30 days",
            ),
            _ => return Ok(()),
        };
        self.flush().await?;
        self.turn.end_pending(origin, through, state, cause).await?;
        self.know(BTreeSet::from([origin.clone()])).await?;
        let peer = self.peers.entry(origin.clone()).or_insert(Peer::LIVE);
        let ended = match state {
            DeliveryState::Refused => Peer::LIVE,
            _ => peer.given_up(through, now),
        };
        if *peer != ended {
            *peer = ended;
            self.changed.insert(origin.clone());
        }
        Ok(())
    }

    /// Ends the parking of origins that answered, or that nothing is left to probe with.
    async fn unpark(&mut self, position: u64) -> Result<Vec<Origin>> {
        let written = self
            .peers
            .iter()
            .filter(|(origin, _)| self.changed.contains(*origin));
        let written: BTreeMap<_, _> = written.map(|(origin, peer)| (origin.clone(), *peer)).collect();
        self.turn.put_peers(&written).await?;
        let parked = self.turn.parked().await?;
        let unparked: BTreeMap<_, _> = parked
            .into_iter()
            .filter(|(_, peer, pending)| peer.waits(*pending))
            .map(|(origin, peer, _)| (origin, peer.unparked(position)))
            .collect();
        self.turn.put_peers(&unparked).await?;
        Ok(unparked.into_keys().collect())
    }

    /// Writes the rows that have gathered.
    async fn flush(&mut self) -> Result<()> {
        if !self.rows.is_empty() {
            self.due.extend(self.turn.insert(&self.rows).await?);
            self.rows.clear();
        }
        Ok(())
    }

    /// Reads the standings of origins not known yet.
    async fn know(&mut self, origins: BTreeSet<Origin>) -> Result<()> {
        let unknown: Vec<_> = origins
            .into_iter()
            .filter(|origin| !self.peers.contains_key(origin))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut found = self.turn.peers(&unknown).await?;
        for origin in unknown {
            let peer = found.remove(&origin).unwrap_or(Peer::LIVE);
            self.peers.insert(origin, peer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
