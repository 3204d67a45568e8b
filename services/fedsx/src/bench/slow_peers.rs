//! `fedsx bench slow-peers`: what black-holed peers cost the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode, routing::post};
use clap::Args;
use fedsx_kernel::origin::Origin;

use super::{
    backend::Backend,
    followers::{author, drained, gather, head, publish},
    report::{Form, Report},
    rig::{Rig, serve},
};

/// A delivery that has not come by then is not coming.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct SlowPeers {
    /// Peers; half of them are black-holed in the second measurement
    #[arg(long, default_value_t = 20)]
    peers: usize,
    /// Followers, spread over the peers
    #[arg(long, default_value_t = 400)]
    followers: usize,
    /// Activities, one after another
    #[arg(long, default_value_t = 30)]
    activities: usize,
}

/// Peers that answer, or take a request and never do.
#[derive(Debug, Clone, Default)]
struct Peers {
    /// When each POST came.
    arrivals: Arc<Mutex<Vec<Instant>>>,
    black_holed: Arc<Mutex<HashMap<u16, bool>>>,
}

impl Peers {
    async fn start(&self) -> anyhow::Result<Origin> {
        let peers = self.clone();
        serve(move |origin| {
            let port = port(origin);
            let answer = move || async move {
                if peers.is_black_holed(port) {
                    std::future::pending::<()>().await;
                }
                peers.lock().push(Instant::now());
                StatusCode::ACCEPTED
            };
            Router::new().route("/{*path}", post(answer))
        })
        .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_black_holed(&self, port: u16) -> bool {
        let black_holed = self.black_holed.lock().unwrap_or_else(PoisonError::into_inner);
        black_holed.get(&port).copied().unwrap_or_default()
    }

    fn black_hole(&self, origins: &[Origin]) {
        let mut black_holed = self.black_holed.lock().unwrap_or_else(PoisonError::into_inner);
        black_holed.extend(origins.iter().map(|origin| (port(origin), true)));
    }
}

fn port(origin: &Origin) -> u16 {
    origin
        .as_str()
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .unwrap_or_default()
}

pub(super) async fn run(bench: &SlowPeers, backend: &Backend, form: Form) -> anyhow::Result<()> {
    let rig = Rig::start(backend).await?;
    let peers = Peers::default();
    let mut origins = Vec::new();
    for _ in 0..bench.peers {
        origins.push(peers.start().await?);
    }
    gather(&rig, &origins, bench.followers).await?;
    let mut clients = rig.domain.clients.clone();
    let accepted = head(&mut clients).await?;
    drained(&mut clients, accepted).await?;

    let quiet = measure(bench, &rig, &peers, bench.followers).await?;
    report(bench, "all answer", quiet, form);
    let half = &origins[..bench.peers / 2];
    peers.black_hole(half);
    let others = (0..bench.followers)
        .filter(|follower| !half.contains(&origins[follower % origins.len()]))
        .count();
    let beside = measure(bench, &rig, &peers, others).await?;
    report(bench, "half are black-holed, the others", beside, form);
    rig.stop().await
}

/// From each publish to each arrival.
async fn measure(
    bench: &SlowPeers,
    rig: &Rig,
    peers: &Peers,
    expected: usize,
) -> anyhow::Result<Vec<Duration>> {
    let (mut clients, author) = (rig.domain.clients.clone(), author(rig));
    let mut latencies = Vec::new();
    for number in 0..bench.activities {
        peers.lock().clear();
        let begin = Instant::now();
        publish(&mut clients, &author, number).await?;
        while peers.lock().len() < expected {
            anyhow::ensure!(
                begin.elapsed() < PATIENCE,
                "{} of {expected} came",
                peers.lock().len()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        latencies.extend(peers.lock().iter().map(|arrival| *arrival - begin));
    }
    Ok(latencies)
}

fn report(bench: &SlowPeers, which: &str, latencies: Vec<Duration>, form: Form) {
    let slowest = latencies.iter().max().copied().unwrap_or_default();
    Report {
        what: format!(
            "delivery to {} peers, {which} (latency: publish to arrival)",
            bench.peers
        ),
        count: latencies.len(),
        elapsed: slowest * u32::try_from(bench.activities).unwrap_or(u32::MAX),
        latencies,
    }
    .print(form);
}
