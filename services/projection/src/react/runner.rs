//! The runner: one process at a time reads the log for the reaction and moves its cursor.

use std::{convert::Infallible, sync::Arc};

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::{ReactError, Reaction, cursor::Cursor, group, hearing::Hearing};
use crate::{
    backoff::Backoff,
    entry::Entry,
    measure::Measures,
    shard::worker,
    source::{Batch, Source, SourceError},
    store::{Group, Store},
};

#[cfg(test)]
mod tests;

#[derive(Debug)]
pub(crate) struct Runner<R> {
    pub(crate) reaction: R,
    pub(crate) measures: Measures,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) source: Source,
    pub(crate) hearing: Hearing,
    /// A name that no other runner has, now or later.
    pub(crate) owner: String,
    /// How long the reaction may stand when its runner dies.
    pub(crate) term: SignedDuration,
}

/// What a runner holds between two failures.
#[derive(Default)]
struct Held {
    /// None: the lease is another's.
    cursor: Option<Cursor>,
    /// How far the log reached when it was last heard of.
    head: u64,
}

impl<R: Reaction> Runner<R> {
    /// Works until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let (mut backoff, mut held) = (Backoff::default(), Held::default());
        let working = async {
            loop {
                let Err(error) = self.work(&mut held, &mut backoff).await;
                self.failed(&mut held, &error).await;
                held = Held::default();
                if error.is_of_the_log() {
                    // Others may reach it.
                    self.hearing.stop();
                    worker::resign(&*self.store, &self.group(), &self.owner).await;
                    self.tell(&held);
                }
                tokio::time::sleep(backoff.wait()).await;
            }
        };
        tokio::select! {
            // First, so that nothing is said of services that stop together.
            biased;
            () = stop.cancelled() => {}
            () = working => {}
        }
        worker::resign(&*self.store, &self.group(), &self.owner).await;
    }

    fn group(&self) -> Group {
        group(self.reaction.name())
    }

    async fn work(&mut self, held: &mut Held, backoff: &mut Backoff) -> Result<Infallible, ReactError> {
        // The lease is not taken by who cannot read what is to be reacted to.
        self.source.head(0).await?;
        let mut turns = worker::turns(self.term);
        loop {
            tokio::select! {
                biased;
                _ = turns.tick() => self.hold(held).await?,
                batch = next(&mut self.hearing, held) => {
                    self.react(held, &batch?).await?;
                    backoff.reset();
                }
            }
            self.tell(held);
        }
    }

    async fn hold(&mut self, held: &mut Held) -> Result<(), ReactError> {
        // What was read in vain is remembered before the lease is perhaps lost.
        self.write(held, None).await?;
        let lease = self
            .store
            .hold(&self.group(), &self.owner, worker::lasts(self.term))
            .await?
            .pop();
        let epoch = lease.as_ref().map(|lease| lease.epoch);
        if let Some(cursor) = &held.cursor
            && epoch == Some(cursor.epoch())
        {
            self.hearing.look(cursor.done);
            return Ok(());
        }
        *held = Held::default();
        self.hearing.stop();
        if let Some(lease) = lease {
            held.head = self.source.head(lease.position).await?;
            // What it wants to hear of, it knows only then.
            self.reaction.begin(lease.position).await?;
            self.hearing.start(lease.position);
            held.cursor = Some(Cursor::new(lease, held.head));
        }
        Ok(())
    }

    /// Reacts to what was read, then moves on.
    async fn react(&mut self, held: &mut Held, batch: &Batch) -> Result<(), ReactError> {
        held.head = batch.head;
        let Some(cursor) = &mut held.cursor else {
            return Ok(());
        };
        let news = batch.items.iter().filter(|item| item.position > cursor.done);
        let readable = news.clone().map_while(|item| item.content.as_ref().ok());
        let entries: Vec<&Entry> = readable.collect();
        let unreadable = news.clone().nth(entries.len());
        let reacted = self.reaction.react(&entries, cursor.floor).await?;
        cursor.done = reacted
            .anew
            .unwrap_or(unreadable.map_or(batch.last, |item| item.position - 1));
        if reacted.acted || cursor.is_due() {
            self.write(held, None).await?;
        }
        if let Some(heard) = reacted.anew {
            self.hearing.start(heard);
            return Ok(());
        }
        match unreadable.map(|item| (item.position, &item.content)) {
            Some((position, Err(problem))) => Err(ReactError::Entry {
                position,
                problem: problem.clone(),
            }),
            _ => Ok(()),
        }
    }

    async fn write(&self, held: &mut Held, halted: Option<String>) -> Result<(), ReactError> {
        if let Some(cursor) = &mut held.cursor
            && !cursor.write(&*self.store, halted).await?
        {
            *held = Held::default();
        }
        Ok(())
    }

    /// Says why it stands, where waiting alone does not help, and keeps what was done.
    async fn failed(&self, held: &mut Held, error: &ReactError) {
        match error {
            ReactError::Views(behind) => tracing::debug!(%behind, "the reaction waits for the views"),
            error => tracing::warn!(%error, "the reaction could not go on; trying again"),
        }
        let halted = error.stands_still().then(|| error.to_string());
        if let Err(error) = self.write(held, halted).await {
            tracing::warn!(%error, "the reaction's cursor could not be written");
        }
        self.tell(held);
    }

    fn tell(&self, held: &Held) {
        let lease = held.cursor.as_ref().map(Cursor::stands);
        self.measures.stand(self.reaction.name(), held.head, lease.iter());
    }
}

/// What comes next for whoever has the lease; for the others, nothing ever.
async fn next(hearing: &mut Hearing, held: &Held) -> Result<Batch, SourceError> {
    match &held.cursor {
        Some(cursor) => hearing.next(cursor.done).await,
        None => std::future::pending().await,
    }
}
