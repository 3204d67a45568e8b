//! The runner: one process at a time reads the log for the reaction and moves its cursor.

use std::{convert::Infallible, sync::Arc};

use fedsx_proto::v1;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::{NAME, ReactError, answers::Answers, group};
use crate::{
    backoff::Backoff,
    shard::{lease::Lease, worker},
    source::{Feed, References, Source},
    store::{Advance, Store},
};

/// Entries that may be read again after a crash, since nothing was said about them.
const LAZY: u64 = 1000;

#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) answers: Answers,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) source: Source,
    /// A name that no other runner has, now or later.
    pub(crate) owner: String,
    /// How long the lease lasts without being renewed.
    pub(crate) term: SignedDuration,
}

/// What a runner holds between two failures.
#[derive(Default)]
struct Held {
    lease: Option<Lease>,
    feed: Option<Feed>,
    /// The log's head when the lease was taken: views that are not so far know less of what was answered than the log.
    floor: u64,
    /// Everything up to here has been reacted to; the cursor may stand before it.
    done: u64,
}

impl Runner {
    /// Works until it is told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (mut backoff, mut held) = (Backoff::default(), Held::default());
        let working = async {
            loop {
                let Err(error) = self.work(&mut held, &mut backoff).await;
                self.failed(&mut held, &error).await;
                held = Held::default();
                tokio::time::sleep(backoff.wait()).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = working => {}
        }
        worker::resign(&*self.store, &group(), &self.owner).await;
    }

    async fn work(&self, held: &mut Held, backoff: &mut Backoff) -> Result<Infallible, ReactError> {
        let mut turns = worker::turns(self.term);
        loop {
            tokio::select! {
                biased;
                _ = turns.tick() => self.hold(held).await?,
                entries = worker::next(&mut held.feed) => {
                    self.react(held, entries?).await?;
                    backoff.reset();
                }
            }
            self.tell(held);
        }
    }

    async fn hold(&self, held: &mut Held) -> Result<(), ReactError> {
        // What was read in vain is remembered before the lease is perhaps lost.
        self.commit(held, None).await?;
        let lease = self.store.hold(&group(), &self.owner, self.term).await?.pop();
        let epoch = |lease: &Option<Lease>| lease.as_ref().map(|lease| lease.epoch);
        if epoch(&held.lease) == epoch(&lease) {
            return Ok(());
        }
        *held = Held::default();
        if let Some(lease) = lease {
            held.floor = self.source.head(lease.position).await?;
            held.done = lease.position;
            held.feed = Some(self.source.subscribe(lease.position, held.floor).await?);
            held.lease = Some(lease);
        }
        Ok(())
    }

    /// Reacts to entries, then moves on.
    async fn react(&self, held: &mut Held, entries: Vec<v1::Entry>) -> Result<(), ReactError> {
        let items = self.source.items(entries, References::Leave).await?;
        let readable: Vec<_> = items
            .iter()
            .map_while(|item| item.content.as_ref().ok())
            .collect();
        let reacted = self.answers.react(&readable, held.floor).await?;
        if let Some(last) = readable.last() {
            held.done = last.position;
        }
        let lease = held.lease.as_ref();
        let behind = lease.map_or(0, |lease| held.done.saturating_sub(lease.position));
        let stood = lease.is_some_and(|lease| lease.halted.is_some());
        if reacted || stood || behind >= LAZY {
            self.commit(held, None).await?;
        }
        match items
            .get(readable.len())
            .map(|item| (item.position, &item.content))
        {
            Some((position, Err(problem))) => Err(ReactError::Entry {
                position,
                problem: problem.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Moves the cursor to where everything is done.
    async fn commit(&self, held: &mut Held, halted: Option<String>) -> Result<(), ReactError> {
        let Some(lease) = &mut held.lease else {
            return Ok(());
        };
        // Without a step, only a new reason is worth writing; with one, whatever it stood still for is past.
        if held.done == lease.position && (halted.is_none() || halted == lease.halted) {
            return Ok(());
        }
        let advance = Advance {
            shard: lease.shard.clone(),
            epoch: lease.epoch,
            from: lease.position,
            position: held.done,
            count: lease.count,
            digest: lease.digest,
            halted,
            changes: Vec::new(),
        };
        let lost = self.store.commit(std::slice::from_ref(&advance)).await?;
        if lost.is_empty() {
            lease.position = advance.position;
            lease.halted = advance.halted;
        } else {
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
        if let Err(error) = self.commit(held, halted).await {
            tracing::warn!(%error, "the reaction's cursor could not be written");
        }
        self.tell(held);
    }

    fn tell(&self, held: &Held) {
        let head = held.feed.as_ref().map_or(0, |feed| feed.head);
        let lease = held.lease.clone().map(|lease| Lease {
            position: held.done,
            ..lease
        });
        self.answers.measures.stand(NAME, head, lease.iter());
    }
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::activity::Activity;
    use fedsx_runtime::{code::Code, metrics::Metrics};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        measure::Measures,
        progress::Progress,
        testing::{
            ALICE, BASE, BOB, Story,
            log::TestLog,
            node::{Mortal, Node, eventually, store},
            origin, person,
        },
    };

    fn with_alice(manual: bool) -> TestLog {
        let mut story = Story::default();
        story.published(BASE, json!({"type": "Create", "object": person("alice", manual)}));
        TestLog::new(&story)
    }

    fn follow(log: &TestLog, who: &str) -> Activity {
        log.append(
            &format!("inbox/{who}"),
            who,
            json!({"type": "Follow", "object": ALICE, "to": [ALICE]}),
        )
    }

    fn follower(number: usize) -> String {
        format!("https://events.example/actors/bob-{number}")
    }

    async fn state(node: &Node, log: &TestLog, who: &str) -> Option<Value> {
        Some(node.row("followers", &format!("{ALICE} {who}"), log).await?["state"].clone())
    }

    #[tokio::test]
    async fn follows_are_accepted_and_the_view_shows_it() {
        let log = with_alice(false);
        let node = Node::start(&store().await, &log).await;
        for number in 0..40 {
            follow(&log, &follower(number));
        }
        eventually("all are accepted", async || log.outbox(ALICE).len() == 40).await;
        for number in 0..40 {
            assert_eq!(state(&node, &log, &follower(number)).await.unwrap(), "accepted");
        }
        eventually("the cursor follows", async || {
            node.shards(NAME).await[0].position >= 41
        })
        .await;
        assert!(
            node.metrics()
                .contains(r#"fedsx_projection_answers_total{outcome="accept"} 40"#)
        );
    }

    #[tokio::test]
    async fn an_answer_belongs_to_the_trace_of_its_follow() {
        let log = with_alice(false);
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        log.push(|position| {
            let document = crate::testing::complete(BOB, json!({"type": "Follow", "object": ALICE}));
            let mut entry = crate::testing::entry(position, &format!("inbox/{BOB}"), &document);
            entry.meta.as_mut().unwrap().traceparent = traceparent.to_owned();
            entry
        });
        let _node = Node::start(&store().await, &log).await;
        eventually("accepted", async || log.published().len() == 1).await;
        assert_eq!(log.published()[0].meta.as_ref().unwrap().traceparent, traceparent);
    }

    #[tokio::test]
    async fn nothing_is_judged_by_less_than_the_log_held_at_first() {
        let (log, store) = (with_alice(false), store().await);
        follow(&log, BOB);
        store.declare(&group().shards).await.unwrap();
        let source = Source {
            client: log.serve(),
            origin: origin(),
        };
        let runner = Runner {
            answers: Answers {
                store: store.clone(),
                source: source.clone(),
                origin: origin(),
                progress: Progress::default(),
                measures: Measures::register(&Metrics::default()).unwrap(),
            },
            store,
            source,
            owner: "test".to_owned(),
            term: jiff::SignedDuration::from_secs(15),
        };
        let mut held = Held::default();
        runner.hold(&mut held).await.unwrap();
        assert_eq!((held.floor, held.done), (2, 0));
        follow(&log, &follower(1));
        runner.hold(&mut held).await.unwrap();
        assert_eq!(held.floor, 2, "what comes later is judged as it comes");
    }

    #[tokio::test]
    async fn a_manual_actor_is_left_to_a_person() {
        let log = with_alice(true);
        let node = Node::start(&store().await, &log).await;
        follow(&log, BOB);
        eventually("seen", async || {
            node.metrics()
                .contains(r#"fedsx_projection_answers_total{outcome="none"} 1"#)
        })
        .await;
        assert_eq!(state(&node, &log, BOB).await.unwrap(), "requested");
        assert_eq!(log.published(), []);
    }

    #[tokio::test]
    async fn a_replay_from_the_first_entry_says_nothing_again() {
        let log = with_alice(false);
        let node = Node::start(&store().await, &log).await;
        follow(&log, BOB);
        eventually("accepted", async || log.outbox(ALICE).len() == 1).await;
        node.stop().await;
        // Rejected afterwards by a person, and asked anew by another: neither may be mixed up by the replay.
        let rejected = follow(&log, &follower(1));
        log.append(
            &format!("outbox/{ALICE}"),
            ALICE,
            json!({"type": "Reject", "object": rejected.id()}),
        );
        log.forget_keys();

        let node = Node::start(&store().await, &log).await;
        eventually("replayed", async || {
            node.metrics()
                .contains(r#"fedsx_projection_answers_total{outcome="none"} 2"#)
        })
        .await;
        assert_eq!(log.published().len(), 1, "the views show that both are answered");
    }

    #[tokio::test]
    async fn a_refused_answer_stands_says_why_and_goes_on_when_it_is_taken() {
        let log = with_alice(false);
        log.refuse(Some(Code::Forbidden));
        let node = Node::start(&store().await, &log).await;
        follow(&log, BOB);
        eventually("says why", async || {
            node.shards(NAME).await[0].halted.contains("the test says no")
        })
        .await;
        assert!(
            node.shards(NAME).await[0].position < 2,
            "the Follow is not passed over"
        );
        assert!(
            node.metrics()
                .contains(r#"fedsx_projection_halted_shards{view="reaction/follow"} 1"#)
        );
        assert!(state(&node, &log, BOB).await.is_some(), "views go on");
        log.refuse(None);
        eventually("accepted", async || log.outbox(ALICE).len() == 1).await;
        eventually("well again", async || {
            node.shards(NAME).await[0].halted.is_empty()
        })
        .await;
    }

    #[tokio::test]
    async fn an_outage_is_waited_for() {
        let log = with_alice(false);
        log.refuse(Some(Code::Unavailable));
        let node = Node::start(&store().await, &log).await;
        follow(&log, BOB);
        log.refuse(None);
        eventually("accepted", async || log.outbox(ALICE).len() == 1).await;
        assert_eq!(node.shards(NAME).await[0].halted, "");
    }

    #[tokio::test]
    async fn one_process_reacts_and_when_it_dies_without_a_word_another_does() {
        let (log, directory) = (with_alice(false), tempfile::tempdir().unwrap());
        let path = directory.path().join("projection.db");
        let term = jiff::SignedDuration::from_millis(900);
        let one = Mortal::start("one", term, &path, &log).await;
        let two = Mortal::start("two", term, &path, &log).await;
        for number in 0..10 {
            follow(&log, &follower(number));
        }
        eventually("all are accepted", async || log.outbox(ALICE).len() == 10).await;
        let first = one.node.shards(NAME).await[0].owner == "one";
        let (dies, lives) = if first { (one, two) } else { (two, one) };
        dies.die();
        follow(&log, BOB);
        eventually("accepted by the other", async || log.outbox(ALICE).len() == 11).await;
        assert_eq!(log.published().len(), 11, "nothing was published twice");
        lives.die();
    }
}
