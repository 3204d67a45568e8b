//! How fast the views follow a log of activities that concern none of them, as a busy inbox makes it: log and views in
//! PostgreSQL, one process. `cargo bench -p fedsx-projection`, with `FEDSX_TEST_POSTGRES` set.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark says so where it fails"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fedsx_kernel::{activity::Activity, origin::Origin};
use fedsx_projection::store::{Store, postgres};
use fedsx_proto::v1::{
    AppendRequest, DescribeRequest, Meta, NewEntry, PublishRequest, append_response::Outcome,
    log_client::LogClient,
};
use fedsx_runtime::{
    Context,
    keyring::MasterKey,
    token::{Credentials, Guard, Role, Tokens},
    transport::{self, Authorised},
};
use fedsx_testing::postgres::Database;
use serde_json::{Value, json};
use tonic::{
    service::{Routes, interceptor::InterceptedService},
    transport::Server,
};

const ENTRIES: u32 = 20_000;
/// Activities of one append.
const TOGETHER: u32 = 100;
const ROUNDS: u32 = 3;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(bench());
}

async fn bench() {
    let logged = Database::create().await;
    let log = log(logged.url()).await;
    define(&log).await;
    fill(&log).await;
    let head = log
        .clone()
        .describe(DescribeRequest {})
        .await
        .unwrap()
        .into_inner()
        .head;
    for round in 1..=ROUNDS {
        let (wall, cpu) = catch_up(&log, head).await;
        println!(
            "round {round}: {head} entries in {} ms, {:.0} entries/s; {:.1} µs of this process (log and views) an entry",
            wall.as_millis(),
            f64::from(ENTRIES) / wall.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / f64::from(ENTRIES),
        );
    }
    let (body, begun) = (create(0).to_string(), Instant::now());
    (0..ENTRIES).for_each(|_| drop(Activity::parse(body.as_bytes()).unwrap()));
    let parsed = begun.elapsed().as_secs_f64() * 1e6 / f64::from(ENTRIES);
    println!(
        "to parse each of them, {} bytes, would take {parsed:.1} µs more",
        body.len()
    );
}

fn origin() -> Origin {
    "https://blog.example".parse().unwrap()
}

async fn log(url: &str) -> LogClient<Authorised> {
    let (context, tokens) = (Context::default(), Tokens::generate());
    let (memory, incoming) = transport::memory();
    let master_key = Arc::new(MasterKey::parse(&MasterKey::generate()).unwrap());
    let store = fedsx_log::store::postgres::open(url).await.unwrap();
    let settings = fedsx_log::Settings::new(origin(), master_key);
    let log = fedsx_log::start(settings, Arc::new(store), context)
        .await
        .unwrap();
    let routes = Routes::new(InterceptedService::new(log, Guard(tokens.clone())));
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming));
    // The gateway's token: it may append what the bench has to, and read like any role.
    let credentials = Credentials::of(&tokens, Role::Gateway);
    LogClient::new(InterceptedService::new(memory.channel(), credentials))
}

/// A Create as a peer of the same kind sends it, about 1.3 KiB with its proof.
fn create(serial: u32) -> Value {
    let actor = "https://events.example/actors/bob";
    json!({
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/data-integrity/v1",
            {"prev": "https://fed-sx.org/ns#prev", "typeCid": "https://fed-sx.org/ns#typeCid"}],
        "id": format!("https://events.example/creates/{serial}"),
        "type": "Create",
        "actor": actor,
        "published": "2026-11-21T10:00:00.123456Z",
        "to": ["https://www.w3.org/ns/activitystreams#Public"],
        "cc": ["https://events.example/actors/bob/followers", "https://blog.example/actors/alice"],
        "object": {
            "id": format!("https://events.example/objects/{serial}"),
            "type": "Note",
            "attributedTo": actor,
            "content": "<p>".to_owned() + &"Gig night at the old harbour, doors at eight. ".repeat(8) + "</p>",
        },
        "proof": {
            "type": "DataIntegrityProof",
            "cryptosuite": "eddsa-jcs-2022",
            "created": "2026-11-21T10:00:00Z",
            "verificationMethod": "https://events.example/actors/bob#ed25519-key",
            "proofPurpose": "assertionMethod",
            "proofValue": "z3sXaxjKs4M3BRicwWA9peyNPJvJqxtGsDmpt1jjoHCjgeUf71TRFz56osPSfDErszyLp5Ks1EhYSgpDaNM977Rg2",
        },
    })
}

/// The views that are code, as `core` declares them.
async fn define(log: &LogClient<Authorised>) {
    for name in [
        "actors",
        "blocks",
        "followers",
        "following",
        "following_by",
        "objects",
    ] {
        let record = json!({"name": name, "fold": {"native": 1}});
        let draft = json!({"type": "DefineProjection", "object": record});
        let request = PublishRequest {
            draft: draft.to_string().into(),
            ..PublishRequest::default()
        };
        log.clone().publish(request).await.unwrap();
    }
}

async fn fill(log: &LogClient<Authorised>) {
    for batch in 0..ENTRIES / TOGETHER {
        let entry = |serial| NewEntry {
            body: create(serial).to_string().into(),
            meta: Some(Meta::default()),
        };
        let request = AppendRequest {
            stream: "inbox/https://events.example/actors/bob".to_owned(),
            entries: (batch * TOGETHER..(batch + 1) * TOGETHER).map(entry).collect(),
            ..AppendRequest::default()
        };
        let answer = log.clone().append(request).await.unwrap().into_inner();
        assert!(matches!(answer.outcome, Some(Outcome::Appended(_))));
    }
}

async fn catch_up(log: &LogClient<Authorised>, head: u64) -> (Duration, Duration) {
    let database = Database::create().await;
    let store = Arc::new(postgres::open(database.url()).await.unwrap());
    let context = Context::default();
    let (begun, before) = (Instant::now(), cpu());
    let settings = fedsx_projection::Settings::new(origin());
    fedsx_projection::start(settings, store.clone(), log.clone(), context.clone())
        .await
        .unwrap();
    while is_behind(&*store, head).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let passed = (begun.elapsed(), cpu() - before);
    assert!(context.shutdown.finish(Duration::from_secs(10)).await);
    passed
}

async fn is_behind(store: &dyn Store, head: u64) -> bool {
    let shards = store.shards().await.unwrap();
    let mut views = shards.iter().filter(|shard| !shard.id.view.contains('/'));
    views.any(|shard| shard.position < head)
}

/// What this process has used of the processors: user and system time, in ticks of 10 ms (proc(5), `stat`).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
