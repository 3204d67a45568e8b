//! What a drain costs the ledger in PostgreSQL, without queue, network and signatures: fan-out of one activity to many
//! lanes, then claims and records as workers make them, for as many processes as are asked for.
//!
//! `FEDSX_TEST_POSTGRES=… cargo bench -p fedsx-delivery --bench ledger -- [lanes] [processes]`, with a server on this
//! machine: CPU time is that of the server's processes for these connections, and of this process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark of failures is none"
)]

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fedsx_delivery::{
    broker::Due,
    lane::{AddressKind, LaneId},
    ledger::{
        Attempt, Claim, ClaimToken, Claims as _, NewDelivery, Queries as _, Records as _, Report, Turns as _,
        postgres::{self, Postgres},
    },
};
use fedsx_kernel::delivery::outcome::Outcome;
use fedsx_testing::postgres::Database;
use jiff::SignedDuration;
use tokio::sync::mpsc;

const ORIGINS: usize = 20;
/// As the worker's settings and the recorder have it.
const LANES: usize = 256;
const BATCH: usize = 512;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let lanes = numbers.next().unwrap_or(10_000);
    let processes = numbers.next().unwrap_or(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(lanes, processes));
}

async fn run(lanes: usize, processes: usize) {
    let database = Database::create().await;
    let ledger = postgres::open(database.url()).await.unwrap();
    let mut ledgers = Vec::new();
    for _ in 0..processes {
        ledgers.push(postgres::open(database.url()).await.unwrap());
    }
    for round in 1..=4 {
        let cpu = Cpu::now();
        let begun = Instant::now();
        let due = fan_out(&ledger, lanes, round).await;
        report(&format!("fan-out {round}"), due.len(), begun.elapsed(), cpu);
        let (cpu, begun) = (Cpu::now(), Instant::now());
        let queue = Arc::new(Mutex::new(VecDeque::from(due)));
        let (claims, records) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
        let mut tasks = Vec::new();
        for (number, ledger) in ledgers.iter().enumerate() {
            let process = Process {
                ledger: ledger.clone(),
                owner: format!("worker-{number}"),
                queue: queue.clone(),
                claims: claims.clone(),
                records: records.clone(),
            };
            tasks.push(tokio::spawn(process.run()));
        }
        for task in tasks {
            task.await.unwrap();
        }
        report(&format!("drain {round}"), lanes, begun.elapsed(), cpu);
        println!("    claims {claims}, records {records}");
        assert_eq!(ledger.pending().await.unwrap(), 0);
    }
}

async fn fan_out(ledger: &Postgres, lanes: usize, position: u64) -> Vec<Due> {
    let rows: Vec<_> = (0..lanes)
        .map(|number| {
            let origin = format!("https://peer-{}.example", number % ORIGINS);
            NewDelivery {
                actor: "https://blog.example/actors/alice".to_owned(),
                kind: AddressKind::Inbox,
                address: format!("{origin}/users/somebody-{number}/inbox"),
                origin: origin.parse().unwrap(),
                position,
                cid: format!("bagaaieraexampleexampleexampleexampleexampleexampleexample{position:04}"),
                trace: "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01".to_owned(),
                awaited: false,
            }
        })
        .collect();
    let mut turn = ledger.turn().await.unwrap();
    let due = turn.insert(&rows).await.unwrap();
    turn.advance(position).await.unwrap();
    turn.commit().await.unwrap();
    due
}

/// One worker process: claims for its places, and a recorder beside.
struct Process {
    ledger: Postgres,
    owner: String,
    queue: Arc<Mutex<VecDeque<Due>>>,
    claims: Arc<Calls>,
    records: Arc<Calls>,
}

impl Process {
    async fn run(self) {
        let (letters, received) = mpsc::channel(2 * BATCH);
        let (freed, mut free) = mpsc::unbounded_channel();
        let recorder = tokio::spawn(record(self.ledger.clone(), received, freed, self.records.clone()));
        let mut places = LANES;
        let mut number = 0;
        loop {
            let lanes = self.take(places);
            if lanes.is_empty() {
                if places == LANES {
                    break;
                }
                places += free.recv().await.unwrap();
                continue;
            }
            number += 1;
            let token = ClaimToken::new(&self.owner, number);
            let begun = Instant::now();
            let claims = self.ledger.claim(&lanes, &token).await.unwrap();
            self.claims.count(lanes.len(), begun.elapsed());
            assert_eq!(claims.len(), lanes.len());
            places -= lanes.len();
            for claim in claims {
                letters.send(sent(&claim)).await.unwrap();
                letters.send(released(&claim)).await.unwrap();
            }
            while let Ok(more) = free.try_recv() {
                places += more;
            }
        }
        drop(letters);
        recorder.await.unwrap();
    }

    fn take(&self, places: usize) -> Vec<LaneId> {
        let mut queue = self.queue.lock().unwrap();
        let places = places.min(queue.len());
        queue.drain(..places).map(|due| due.lane).collect()
    }
}

fn sent(claim: &Claim) -> Report {
    let attempts = claim.owed.iter().map(|owed| Attempt {
        position: owed.position,
        outcome: Outcome::Delivered,
        at: claim.at,
        actor: None,
        status: 202,
        cause: String::new(),
        jitter: 0.0,
    });
    Report {
        attempts: attempts.collect(),
        release: false,
        ..released(claim)
    }
}

fn released(claim: &Claim) -> Report {
    Report {
        lane: claim.lane.id,
        token: claim.token.clone(),
        attempts: Vec::new(),
        release: true,
        pause: SignedDuration::ZERO,
    }
}

async fn record(
    ledger: Postgres,
    mut received: mpsc::Receiver<Report>,
    freed: mpsc::UnboundedSender<usize>,
    calls: Arc<Calls>,
) {
    let mut reports = Vec::new();
    while received.recv_many(&mut reports, BATCH).await > 0 {
        let begun = Instant::now();
        let verdicts = ledger.record(&reports).await.unwrap();
        calls.count(reports.len(), begun.elapsed());
        assert!(verdicts.reports.iter().all(|verdict| verdict.mine));
        let _ = freed.send(reports.drain(..).filter(|report| report.release).count());
    }
}

#[derive(Debug, Default)]
struct Calls {
    calls: AtomicU64,
    items: AtomicU64,
    micros: AtomicU64,
}

impl Calls {
    fn count(&self, items: usize, took: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.items
            .fetch_add(u64::try_from(items).unwrap(), Ordering::Relaxed);
        self.micros
            .fetch_add(u64::try_from(took.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl std::fmt::Display for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [calls, items, micros] =
            [&self.calls, &self.items, &self.micros].map(|count| count.load(Ordering::Relaxed));
        let calls = calls.max(1);
        write!(
            f,
            "{calls} of {} items, {:.2} ms each",
            items / calls,
            micros as f64 / 1e3 / calls as f64
        )
    }
}

fn report(what: &str, items: usize, took: Duration, before: Cpu) {
    let after = Cpu::now();
    let each = |ticks: u64| ticks as f64 * 1e4 / items as f64;
    println!(
        "{what:>10}: {items} in {took:.2?}, {:.0}/s; CPU per delivery: PostgreSQL {:.0} µs, this process {:.0} µs",
        items as f64 / took.as_secs_f64(),
        each(after.postgres.saturating_sub(before.postgres)),
        each(after.this - before.this)
    );
}

/// CPU time in ticks of 10 ms.
#[derive(Debug, Clone, Copy)]
struct Cpu {
    postgres: u64,
    this: u64,
}

impl Cpu {
    fn now() -> Self {
        let mut cpu = Self { postgres: 0, this: 0 };
        let this = std::process::id().to_string();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else {
                continue;
            };
            let Some((name, fields)) = stat.rsplit_once(')') else {
                continue;
            };
            let ticks = fields.split_whitespace().skip(11).take(2);
            let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
            if process.file_name().to_str() == Some(&this) {
                cpu.this += ticks;
            } else if name.ends_with("(postgres") && is_ours(&process.path()) {
                cpu.postgres += ticks;
            }
        }
        cpu
    }
}

/// Whether a process of the server's is at work for a database of a test.
fn is_ours(process: &std::path::Path) -> bool {
    std::fs::read_to_string(process.join("cmdline")).is_ok_and(|title| title.contains(" fedsx_test_"))
}
