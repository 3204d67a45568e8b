//! How many entries a second each store takes, batch after batch of one size, planning included:
//!
//! ```sh
//! FEDSX_TEST_POSTGRES=postgres://… cargo run --release -p fedsx-log --example store_rate [seconds]
//! ```
#![allow(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fedsx_kernel::cid::Cid;
use fedsx_log::{
    commit::Writer,
    keys::Keys,
    plan::{Append, Complete, Expected, NewEntry, Request},
    store::{Store, postgres, sqlite},
};
use fedsx_proto::v1::Meta;
use fedsx_runtime::keyring::MasterKey;

const SIZES: [u64; 4] = [1, 16, 64, 512];
/// Remote actors, each with a stream.
const ACTORS: u64 = 500;
/// Bytes of a body.
const BODY: usize = 700;

fn request(number: u64) -> Request {
    let text = format!("{{\"number\":{number:016}}}");
    let cid = Cid::of_canonical(text.as_bytes());
    let activity = Complete {
        body: Bytes::from(text.repeat(BODY / text.len())),
        activity_id: format!("https://events.example/activities/{cid}"),
        cid,
        public: number.is_multiple_of(2),
    };
    Request::Append(Append {
        stream: format!("inbox/https://events.example/actors/{}", number % ACTORS),
        expected: Expected::Any,
        entries: vec![NewEntry {
            activity,
            meta: Meta::default(),
            checked: fedsx_log::registry::checked::Checked::default(),
        }],
        kv: Vec::new(),
    })
}

async fn measure(name: &str, store: Arc<dyn Store>, time: Duration) {
    let writer = Writer {
        registry: fedsx_log::registry::Current::default(),
        origin: "https://blog.example".parse().unwrap(),
        store,
        keys: Arc::new(Keys::new(Arc::new(
            MasterKey::parse(&MasterKey::generate()).unwrap(),
        ))),
    };
    let mut next = 0;
    for size in SIZES {
        let (mut batches, mut spent) = (0_u32, Duration::ZERO);
        while spent < time {
            let requests: Vec<_> = (next..next + size).map(request).collect();
            next += size;
            let started = Instant::now();
            let committed = writer.commit(&requests).await.unwrap();
            spent += started.elapsed();
            assert_eq!(committed.head, next);
            batches += 1;
        }
        let batch = spent / batches;
        let rate = u128::from(size) * 1_000_000_000 / batch.as_nanos();
        println!(
            "{name:10} {size:4} entries a batch  {:9.3} ms a batch  {rate:7} entries/s",
            batch.as_secs_f64() * 1e3
        );
    }
}

#[tokio::main]
async fn main() {
    let seconds = std::env::args()
        .nth(1)
        .map_or(5, |seconds| seconds.parse().unwrap());
    let time = Duration::from_secs(seconds);
    let folder = tempfile::tempdir().unwrap();
    let file = sqlite::open(folder.path().join("log.db")).await.unwrap();
    measure("SQLite", Arc::new(file), time).await;
    let database = fedsx_testing::postgres::Database::create().await;
    let shared = postgres::open(database.url()).await.unwrap();
    measure("PostgreSQL", Arc::new(shared), time).await;
}
