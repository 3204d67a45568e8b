//! How the reaction hears of the log: it listens to what the worker of its process reads, and reads for itself only what it
//! missed of that. So a process reads the log once, however many follow it.

use fedsx_kernel::stream::Stream;

use crate::source::{Batch, Interest, Reader, References, Relayed, Source, SourceError};

#[derive(Debug)]
pub(crate) struct Hearing {
    source: Source,
    interest: Interest,
    /// None: it reads alone.
    relayed: Option<Relayed>,
    reader: Option<Reader>,
    /// Whether the worker has read anything that goes on from here since the last [`Hearing::look`].
    heard: bool,
}

impl Hearing {
    /// Hears of Follows.
    pub(crate) fn new(source: Source, relayed: Relayed) -> Self {
        Self {
            relayed: Some(relayed),
            ..Self::alone(source, Interest::new(listens))
        }
    }

    /// Hears of what is of interest, by itself.
    pub(crate) fn alone(source: Source, interest: Interest) -> Self {
        Self {
            source,
            interest,
            relayed: None,
            reader: None,
            heard: false,
        }
    }

    /// Hears on after a position.
    pub(super) fn start(&mut self, after: u64) {
        let reader = Reader::start(
            self.source.clone(),
            self.interest.clone(),
            References::Leave,
            after,
        );
        self.reader = Some(reader);
    }

    pub(super) fn stop(&mut self) {
        self.reader = None;
    }

    /// Reads for itself where the worker is silent, as it is also while it cannot go on. Call it from time to time.
    pub(super) fn look(&mut self, done: u64) {
        if !std::mem::take(&mut self.heard) && self.reader.is_none() {
            self.start(done);
        }
    }

    /// A batch that goes on after this position, or before. Dropped before it answers, it loses nothing.
    ///
    /// # Errors
    /// Those of [`Reader::next`].
    pub(super) async fn next(&mut self, done: u64) -> Result<Batch, SourceError> {
        loop {
            let missed = self
                .relayed
                .as_ref()
                .is_none_or(|relayed| relayed.has_missed(done));
            if self.reader.is_none() && missed {
                self.start(done);
            }
            tokio::select! {
                biased;
                batch = relayed(&mut self.relayed) => {
                    if batch.last <= done {
                        continue;
                    }
                    // What the worker cannot read may be nothing to the reaction.
                    let whole = batch.items.iter().all(|item| item.content.is_ok());
                    if whole && batch.after <= done {
                        (self.heard, self.reader) = (true, None);
                        return Ok(batch);
                    }
                    if self.reader.is_none() {
                        self.start(done);
                    }
                }
                batch = read(&mut self.reader) => return batch,
            }
        }
    }
}

async fn relayed(relayed: &mut Option<Relayed>) -> Batch {
    match relayed {
        Some(relayed) => relayed.next().await,
        None => std::future::pending().await,
    }
}

async fn read(reader: &mut Option<Reader>) -> Result<Batch, SourceError> {
    match reader {
        Some(reader) => reader.next().await,
        None => std::future::pending().await,
    }
}

/// What the answers to Follows want to hear of.
pub(crate) fn listens(stream: &Stream, verb: &str) -> bool {
    matches!(stream, Stream::Outbox(_) | Stream::Inbox(_)) && verb == "Follow"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        source::{Relay, relay},
        testing::{ALICE, BOB, Story, entry, log::TestLog, note},
    };

    fn follow(log: &TestLog) -> u64 {
        let follow = json!({"type": "Follow", "object": ALICE, "serial": log.head()});
        log.append(&format!("inbox/{BOB}"), BOB, follow);
        log.head()
    }

    struct Both {
        log: TestLog,
        relay: Relay,
        hearing: Hearing,
        /// What the worker would read.
        worker: Reader,
    }

    async fn both(follows: u64) -> Both {
        let log = TestLog::new(&Story::default());
        for _ in 0..follows {
            follow(&log);
        }
        let source = log.source();
        let (relay, relayed) = relay();
        let interest = Interest::new(|_, _| true);
        Both {
            worker: Reader::start(source.clone(), interest, References::LookUp, 0),
            hearing: Hearing::new(source, relayed),
            log,
            relay,
        }
    }

    impl Both {
        /// Hears everything up to a position, each entry once.
        async fn hear(&mut self, done: &mut u64, last: u64) {
            while *done < last {
                let batch = self.hearing.next(*done).await.unwrap();
                assert!(batch.after <= *done && *done < batch.last);
                let unread = batch.items.iter().filter(|item| item.position > *done);
                let expected: Vec<u64> = (*done + 1..=batch.last).collect();
                assert_eq!(unread.map(|item| item.position).collect::<Vec<_>>(), expected);
                *done = batch.last;
            }
        }

        async fn worker_reads(&mut self) {
            let batch = self.worker.next().await.unwrap();
            self.relay.pass(&batch);
        }
    }

    #[tokio::test]
    async fn what_the_worker_reads_is_not_read_again() {
        let (mut both, mut done) = (both(0).await, 0);
        both.hearing.look(done);
        for _ in 0..5 {
            let head = follow(&both.log);
            both.worker_reads().await;
            both.hear(&mut done, head).await;
            assert!(both.hearing.reader.is_none());
            both.hearing.look(done);
            assert!(both.hearing.reader.is_none());
        }
        // The one that it had begun while nobody had read anything may not have got there.
        assert!(both.log.subscriptions() <= 2);
    }

    #[tokio::test]
    async fn what_was_missed_is_read_and_then_the_worker_is_listened_to_again() {
        let (mut both, mut done) = (both(3).await, 0);
        both.worker_reads().await;
        // Of a batch that was read long before, the reaction has done a part.
        done += 1;
        both.hear(&mut done, 3).await;
        for _ in 0..BEHIND_MORE {
            follow(&both.log);
            both.worker_reads().await;
        }
        let head = both.log.head();
        both.hear(&mut done, head).await;
        assert!(
            both.hearing.reader.is_some(),
            "the relay had no room for all of it"
        );
        let head = follow(&both.log);
        both.worker_reads().await;
        both.hear(&mut done, head).await;
        let head = follow(&both.log);
        both.worker_reads().await;
        both.hear(&mut done, head).await;
    }

    const BEHIND_MORE: u64 = 20;

    #[tokio::test]
    async fn a_large_batch_is_read_again() {
        let (mut both, mut done) = (both(0).await, 0);
        let follow = json!({"type": "Follow", "object": ALICE, "note": "x".repeat(300 << 10)});
        both.log.append(&format!("inbox/{BOB}"), BOB, follow);
        both.worker_reads().await;
        both.hear(&mut done, 1).await;
        assert!(both.hearing.reader.is_some());
    }

    #[tokio::test]
    async fn a_worker_that_is_silent_is_not_waited_for() {
        let (mut both, mut done) = (both(3).await, 0);
        both.hearing.look(done);
        both.hear(&mut done, 3).await;
    }

    #[tokio::test]
    async fn what_only_the_worker_stumbles_over_is_read_again() {
        let mut both = both(0).await;
        both.log.push(|position| fedsx_proto::v1::Entry {
            cid: "bafy".to_owned(),
            ..entry(position, "domain", &note())
        });
        both.worker_reads().await;
        let batch = both.hearing.next(0).await.unwrap();
        assert_eq!((batch.last, batch.items.len()), (1, 0));
    }
}
