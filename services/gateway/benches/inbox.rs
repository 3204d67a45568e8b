//! What an activity costs the gateway's edge: CPU time by part, over real HTTP, with a log and views that answer at once.
//!
//! `cargo bench -p fedsx-gateway -- [activities] [connections]`. The parts run on threads of their own, so that the
//! gateway's share is told apart from the load's and from that of the services behind it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark of failures is none"
)]

mod rig;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fedsx_kernel::{actor, http_signature::rfc9421, key::SigningKey};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use rig::{Behind, cpu, runtime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let count = numbers.next().unwrap_or(20_000);
    let connections = numbers.next().unwrap_or(32);
    // As in production, where spans are made for their context even where nothing is exported.
    if std::env::var_os("SPANS").is_some() {
        let _ = fedsx_runtime::telemetry::start(&fedsx_runtime::telemetry::Settings::default()).unwrap();
    }
    let (behind, edge, load) = (runtime("behind", 1), runtime("gateway", 2), runtime("load", 1));
    let services = behind.block_on(rig::behind());
    let address = edge.block_on(rig::gateway(&services));
    let requests = Arc::new(requests(count + 2_000, &services));

    load.block_on(run(address, &requests, 0..2_000, connections));
    let before = cpu();
    let begun = Instant::now();
    let mut latencies = load.block_on(run(address, &requests, 2_000..requests.len(), connections));
    let (elapsed, after) = (begun.elapsed(), cpu());

    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    println!(
        "{count} activities over {connections} connections: {:.0}/s; latency p50 {:.2?}, p99 {:.2?}",
        count as f64 / elapsed.as_secs_f64(),
        at(50),
        at(99)
    );
    for part in ["gateway", "behind", "load"] {
        let spent = after.of(part).saturating_sub(before.of(part));
        println!(
            "{part:>8}: {:6.1} µs of CPU an activity",
            spent.as_secs_f64() * 1e6 / count as f64
        );
    }
    println!("{}", services.counts());
    // Threads that wait for connections are not waited for.
    std::process::exit(0);
}

/// Sends the requests, one at a time on each connection.
async fn run(
    address: std::net::SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    range: std::ops::Range<usize>,
    connections: usize,
) -> Vec<Duration> {
    let next = Arc::new(AtomicUsize::new(range.start));
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (next, requests, end) = (next.clone(), requests.clone(), range.end);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut latencies, mut answer) = (Vec::new(), vec![0; 4096]);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return latencies;
                    }
                    let begun = Instant::now();
                    stream.write_all(&requests[number]).await.unwrap();
                    let mut read = 0;
                    while !answer[..read].ends_with(b"\r\n\r\n") {
                        let bytes = stream.read(&mut answer[read..]).await.unwrap();
                        assert!(bytes > 0, "{}", String::from_utf8_lossy(&answer[..read]));
                        read += bytes;
                        let accepted = answer.starts_with(b"HTTP/1.1 202");
                        assert!(accepted, "{}", String::from_utf8_lossy(&answer[..read]));
                    }
                    latencies.push(begun.elapsed());
                }
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    latencies
}

/// Signed as a peer signs them, with proof and HTTP signature, about half a kilobyte of content each.
fn requests(count: usize, services: &Behind) -> Vec<Vec<u8>> {
    (0..count).map(|number| request(number, services)).collect()
}

fn request(number: usize, services: &Behind) -> Vec<u8> {
    let key = SigningKey::from_seed(&rig::SEED);
    let id = services.peer.actor("load");
    let body = rig::activity(&services.peer, &id, &key, number);
    let digest = fedsx_kernel::http_signature::digest::of(&body);
    let fields = [("content-digest", digest.as_str())];
    let parts = rfc9421::Request {
        method: "POST",
        target_uri: &format!("{}/inbox", rig::ORIGIN),
        headers: &fields,
    };
    let now = jiff::Timestamp::now().as_second();
    let signed = rfc9421::sign(&parts, &actor::key_id(&id), &key, now, now + 300).unwrap();
    let mut request = format!(
        "POST /inbox HTTP/1.1\r\nhost: events.example\r\ncontent-type: application/activity+json\r\n\
         content-digest: {digest}\r\nsignature-input: {}\r\nsignature: {}\r\ncontent-length: {}\r\n\r\n",
        signed.signature_input,
        signed.signature,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    request
}
