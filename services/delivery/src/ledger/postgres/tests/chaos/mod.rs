//! Everybody at once over one database: fan-outs, workers, sweepers, probes, parking and catch-up of several processes, some
//! of which crash, by a clock that runs, while peers go away and come back.

mod fan_out;
mod oracle;
mod process;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fedsx_kernel::origin::Origin;
use fedsx_runtime::clock::{Clock as _, ManualClock};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{Postgres, fresh, open};
use crate::{
    broker::Due,
    ledger::{
        Filter, NewDelivery, Queries as _, Sweeps as _,
        conformance::{delivery, origin},
    },
};
use oracle::Oracle;
use process::Process;

const ORIGINS: [&str; 4] = ["one", "two", "three", "four"];
const LANES: u64 = 6;
/// The log's length.
const HEAD: u64 = 80;
const PROCESSES: usize = 3;
/// How long peers come and go.
const UNREST: Duration = Duration::from_secs(12);
/// How long what is owed then may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the processes share beside the ledger.
struct Town {
    clock: ManualClock,
    oracle: Mutex<Oracle>,
    queue: Mutex<Vec<Due>>,
    over: AtomicBool,
}

impl Town {
    fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// A queue that repeats, reorders and loses.
    fn publish(&self, due: Vec<Due>) {
        let mut queue = self.queue.lock().unwrap();
        for due in due {
            let copies = [0, 1, 1, 1, 2][rand::random_range(0..5)];
            for _ in 0..copies {
                let place = rand::random_range(0..=queue.len());
                queue.insert(place, due.clone());
            }
        }
    }

    fn consume(&self, places: usize) -> Vec<Due> {
        let mut queue = self.queue.lock().unwrap();
        let first = queue.len().saturating_sub(places);
        queue.split_off(first)
    }

    /// Lets time pass, but never past the end of a POST under way.
    async fn tick(&self) {
        while !self.is_over() {
            sleep(Duration::from_millis(2)).await;
            let step = SignedDuration::from_millis(rand::random_range(0..320));
            let oracle = self.oracle();
            let deadline = oracle.deadline();
            let room = deadline.map_or(step, |deadline| deadline.duration_since(self.now()));
            self.clock.advance(step.min(room).max(SignedDuration::ZERO));
        }
    }
}

/// What the entry at a position owes an origin.
fn owed(position: u64, name: &str) -> impl Iterator<Item = NewDelivery> {
    (0..LANES)
        .filter(move |lane| !(position + lane).is_multiple_of(3))
        .map(move |lane| delivery(&format!("{name}/{lane}"), position))
}

fn peers() -> Vec<Origin> {
    ORIGINS.iter().map(|name| origin(name)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_meets_nothing_is_lost_repeated_without_need_or_reordered() {
    let (database, ledger) = fresh().await;
    let clock = ManualClock::new("2026-11-21T00:00:00Z".parse().unwrap());
    let ledger = ledger.with_clock(Arc::new(clock.clone()));
    let town = Arc::new(Town {
        clock: clock.clone(),
        oracle: Mutex::default(),
        queue: Mutex::default(),
        over: AtomicBool::new(false),
    });
    let mut tasks = JoinSet::new();
    for number in 0..PROCESSES {
        let ledger = open(database.url())
            .await
            .unwrap()
            .with_clock(Arc::new(clock.clone()));
        let process = Process::new(format!("process-{number}"), ledger, town.clone());
        // The last one crashes now and then.
        tasks.spawn(async move { process.live(number + 1 == PROCESSES).await });
    }
    let ticking = town.clone();
    tasks.spawn(async move { ticking.tick().await });
    let story = async {
        unrest(&town).await;
        drained(&town, &ledger).await;
    };
    tokio::select! {
        () = story => {}
        Some(ended) = tasks.join_next() => ended.unwrap(),
    }
    town.over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    check(&town, &ledger).await;
}

/// Peers go away and come back, some for long enough to be parked.
async fn unrest(town: &Town) {
    let peer = async |name: &str| {
        let begun = Instant::now();
        while begun.elapsed() < UNREST {
            sleep(Duration::from_millis(rand::random_range(100..1_500))).await;
            town.oracle().down.insert(origin(name));
            sleep(Duration::from_millis(rand::random_range(100..8_000))).await;
            town.oracle().down.remove(&origin(name));
        }
    };
    join_all(ORIGINS.map(peer)).await;
}

/// Until everything is received, recorded, and every peer is live.
async fn drained(town: &Town, ledger: &Postgres) {
    let begun = Instant::now();
    loop {
        sleep(Duration::from_millis(250)).await;
        let missing = town.oracle().missing();
        let pending = ledger.pending().await.unwrap();
        let unwell = ledger.unwell().await.unwrap();
        if missing.is_empty() && pending == 0 && unwell.is_empty() {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{} missing, such as {:?}; {pending} pending; unwell: {unwell:?}",
            missing.len(),
            missing.first()
        );
        ledger.hurry(None).await.unwrap();
    }
}

async fn check(town: &Town, ledger: &Postgres) {
    let rows = ledger.list(&Filter::default(), None, 100_000).await.unwrap();
    let expected: usize = (1..=HEAD)
        .flat_map(|position| ORIGINS.map(|name| owed(position, name).count()))
        .sum();
    assert_eq!(rows.len(), expected);
    assert!(
        rows.iter().all(|row| row.state.as_str() == "delivered"),
        "not all are delivered"
    );
    let idle: i64 =
        sqlx::query_scalar("SELECT count(*) FROM lane_state WHERE next_due IS NULL AND NOT parked")
            .fetch_one(&ledger.pool)
            .await
            .unwrap();
    assert_eq!(
        idle,
        i64::try_from(ORIGINS.len()).unwrap() * i64::try_from(LANES).unwrap()
    );
    let oracle = town.oracle();
    println!(
        "until {}: {} deliveries in {} POSTs, {} crashes, {} parkings, {} pages, {} lost claims",
        town.now(),
        rows.len(),
        oracle.posts_made,
        oracle.crashes,
        oracle.parkings,
        oracle.pages,
        oracle.lost
    );
}
