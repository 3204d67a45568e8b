//! A broker of the test's own that is killed, emptied, frozen and away, while a domain owes and sends.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fedsx_runtime::Context;
use fedsx_testing::rabbitmq::{Server, Vhost};

use super::{
    RabbitMq, open,
    publisher::PATIENCE as BOUND,
    queue,
    tests::{eventually, is_ready},
};
use crate::broker::{Broker, conformance::due};

/// What a busy machine adds to a bound.
const SLACK: Duration = Duration::from_secs(1);
/// What takes no longer took no time.
const AT_ONCE: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(200);

/// What the ledger, the sweeper and a worker are to the broker: what is owed is published again and again until it came.
#[derive(Clone)]
struct Domain {
    context: Context,
    broker: Arc<RabbitMq>,
    ledger: Arc<Ledger>,
}

#[derive(Default)]
struct Ledger {
    owed: Mutex<BTreeSet<i64>>,
    lanes: AtomicI64,
    is_busy: AtomicBool,
    longest: Mutex<Duration>,
    consumers_lost: AtomicUsize,
}

impl Domain {
    fn start(url: &str) -> Self {
        Self::replica(url, Arc::default())
    }

    /// One of several processes over the same ledger.
    fn replica(url: &str, ledger: Arc<Ledger>) -> Self {
        let context = Context::default();
        let domain = Self {
            broker: Arc::new(open(url, "test", &context).unwrap()),
            context,
            ledger,
        };
        tokio::spawn(domain.clone().load());
        tokio::spawn(domain.clone().sweep());
        tokio::spawn(domain.clone().work());
        domain
    }

    fn owe(&self) {
        let lane = self.ledger.lanes.fetch_add(1, Ordering::Relaxed);
        self.ledger.owed.lock().unwrap().insert(lane);
    }

    /// Owes more all the time while the domain is busy.
    async fn load(self) {
        loop {
            if self.ledger.is_busy.load(Ordering::Relaxed) {
                self.owe();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn sweep(self) {
        loop {
            let owed: Vec<_> = self
                .ledger
                .owed
                .lock()
                .unwrap()
                .iter()
                .copied()
                .map(due)
                .collect();
            let _ = self.publish(&owed).await;
            tokio::time::sleep(TICK).await;
        }
    }

    /// Publishes as the sweeper does. Answers how long it took where it failed.
    async fn publish(&self, owed: &[crate::broker::Due]) -> Result<(), Duration> {
        let begun = Instant::now();
        let published = self.broker.publish(owed).await;
        let took = begun.elapsed();
        let mut longest = self.ledger.longest.lock().unwrap();
        *longest = took.max(*longest);
        published.map(drop).map_err(|_| took)
    }

    async fn work(self) {
        loop {
            if let Ok(mut consumer) = self.broker.consume(64).await {
                while let Ok(messages) = consumer.next().await {
                    let tags: Vec<_> = messages.iter().map(|message| message.tag).collect();
                    for message in messages {
                        self.ledger.owed.lock().unwrap().remove(&message.due.lane.0);
                    }
                    if consumer.ack(&tags).await.is_err() {
                        break;
                    }
                }
                self.ledger.consumers_lost.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Begins to owe more all the time, and sees that it arrives.
    async fn gets_busy(&self) {
        is_ready(&self.context.readiness).await;
        self.ledger.is_busy.store(true, Ordering::Relaxed);
        let before = self.ledger.lanes.load(Ordering::Relaxed);
        eventually("it is busy", async || {
            self.ledger.lanes.load(Ordering::Relaxed) > before + 100
        })
        .await;
    }

    /// Owes no more, and sees that everything has arrived, and that nobody ever waited.
    async fn settles(&self) {
        self.ledger.is_busy.store(false, Ordering::Relaxed);
        self.owe();
        eventually("everything arrives", async || {
            self.ledger.owed.lock().unwrap().is_empty()
        })
        .await;
        is_ready(&self.context.readiness).await;
        let longest = std::mem::take(&mut *self.ledger.longest.lock().unwrap());
        assert!(longest < BOUND + SLACK, "a publish took {longest:?}");
    }

    /// Waits until the broker is known to be away: publishing fails at once then, and readiness says why.
    async fn finds_it_away(&self) {
        eventually("publishing fails at once", async || {
            self.publish(&[due(-1)]).await.is_err_and(|took| took < AT_ONCE)
        })
        .await;
        eventually("readiness says so", async || {
            self.context.readiness.lacking().contains_key("broker")
        })
        .await;
    }

    async fn loses_its_consumer(&self, before: usize) {
        eventually("the consumer is told", async || self.consumers_lost() > before).await;
    }

    fn consumers_lost(&self) -> usize {
        self.ledger.consumers_lost.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outages_lose_nothing_and_hold_up_nobody() {
    let mut server = Server::start().await;
    server.kill9();
    let domain = Domain::start(server.url());
    it_may_be_away_at_the_start(&domain, &mut server).await;
    it_may_be_killed(&domain, &mut server).await;
    it_may_come_back_empty(&domain, &mut server).await;
    it_may_freeze(&domain, &server).await;
    it_may_be_short_of_memory(&domain, &server).await;
    it_may_lose_its_queues_leader(&domain, &server).await;
    domain.context.shutdown.begin();
}

async fn it_may_be_away_at_the_start(domain: &Domain, server: &mut Server) {
    domain.owe();
    domain.finds_it_away().await;
    server.start_again().await;
    domain.settles().await;
}

async fn it_may_be_killed(domain: &Domain, server: &mut Server) {
    domain.gets_busy().await;
    server.kill9();
    domain.finds_it_away().await;
    server.start_again().await;
    domain.settles().await;
}

async fn it_may_come_back_empty(domain: &Domain, server: &mut Server) {
    domain.gets_busy().await;
    server.wipe(&[]).await;
    domain.settles().await;
}

async fn it_may_freeze(domain: &Domain, server: &Server) {
    domain.gets_busy().await;
    let before = domain.consumers_lost();
    server.freeze();
    domain.finds_it_away().await;
    domain.loses_its_consumer(before).await;
    server.thaw();
    domain.settles().await;
}

async fn it_may_be_short_of_memory(domain: &Domain, server: &Server) {
    domain.gets_busy().await;
    server.ctl(&["set_vm_memory_high_watermark", "0.0001"]).await;
    domain.finds_it_away().await;
    // What is in the queue already goes on.
    eventually("the queue drains", async || domain.broker.depth().await == Ok(0)).await;
    server.ctl(&["set_vm_memory_high_watermark", "0.6"]).await;
    domain.settles().await;
}

async fn it_may_lose_its_queues_leader(domain: &Domain, server: &Server) {
    domain.gets_busy().await;
    let leader = format!("{{'%2F_{}', node()}}", queue::NAME);
    let stop = format!("ra:stop_server(quorum_queues, {leader}).");
    server.ctl(&["eval", &stop]).await;
    domain.settles().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_may_start_together_where_there_is_no_queue_yet() {
    let vhost = Vhost::create().await;
    let ledger = Arc::new(Ledger::default());
    let replicas: Vec<_> = (0..4)
        .map(|_| Domain::replica(vhost.url(), ledger.clone()))
        .collect();
    for replica in &replicas {
        replica.gets_busy().await;
    }
    for replica in &replicas {
        replica.settles().await;
        replica.context.shutdown.begin();
    }
}
