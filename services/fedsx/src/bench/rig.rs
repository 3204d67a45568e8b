//! What benchmarks share: a domain on a fresh folder, peers on loopback, and workers that time each operation.

use std::{
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode, routing::post};
use fedsx_kernel::{
    actor::{Kind, NewActor},
    key::SigningKey,
    origin::Origin,
};
use fedsx_proto::v1::PublishRequest;
use fedsx_runtime::{code::Refusal, shutdown::Deadline};
use rand::Rng as _;
use tokio::{net::TcpListener, task::JoinSet};

use super::backend::{Backend, Scratch};
use crate::domain::{Domain, Settings};

/// A domain in a folder, and perhaps a database, that go with it.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) domain: Domain,
    _folder: tempfile::TempDir,
    scratch: Option<Scratch>,
}

impl Rig {
    /// Starts the domain. The bundle is blog's, for its author.
    pub(super) async fn start(backend: &Backend) -> anyhow::Result<Self> {
        Self::start_with(backend, |_| {}).await
    }

    /// Starts the domain with other settings than usual.
    pub(super) async fn start_with(
        backend: &Backend,
        adjust: impl FnOnce(&mut Settings),
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let origin = format!("http://127.0.0.1:{port}").parse()?;
        let mut settings = Settings::embedded(origin, "blog", folder.path().join("blog"))?;
        settings.limited = false;
        let scratch = backend.scratch().await?;
        settings.database = scratch.as_ref().map(Scratch::url).transpose()?;
        settings.broker.clone_from(&backend.broker);
        adjust(&mut settings);
        let domain = Domain::start(settings).await?;
        Ok(Self {
            domain,
            _folder: folder,
            scratch,
        })
    }

    /// Publishes as the domain's own actor.
    pub(super) async fn publish(&self, draft: &serde_json::Value) -> anyhow::Result<()> {
        let request = PublishRequest {
            draft: draft.to_string().into(),
            ..PublishRequest::default()
        };
        let mut log = self.domain.clients.log.clone();
        log.publish(request).await.map_err(Refusal::from)?;
        Ok(())
    }

    /// Ends the domain and removes its folder and database.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.domain.stop(Deadline::promised()).await;
        match self.scratch {
            Some(scratch) => scratch.remove().await,
            None => Ok(()),
        }
    }
}

/// A remote actor with a key of its own.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) origin: Origin,
    pub(super) id: String,
    pub(super) key: SigningKey,
    pub(super) document: serde_json::Value,
}

impl Remote {
    pub(super) fn new(origin: Origin) -> Self {
        let mut seed = [0u8; 32];
        rand::rng().fill_bytes(&mut seed);
        let key = SigningKey::from_seed(&seed);
        let actor = NewActor {
            name: Some("load".to_owned()),
            kind: Kind::Service,
            display_name: None,
            summary: None,
            manual_approval: false,
        };
        let document = actor.document(&origin, &key.verifying_key());
        Self {
            id: actor.id(&origin),
            origin,
            key,
            document,
        }
    }
}

/// Peers whose inboxes take everything.
pub(super) async fn sinks(count: usize) -> anyhow::Result<Vec<Origin>> {
    let mut origins = Vec::new();
    for _ in 0..count.max(1) {
        let sink = Router::new().route("/{*path}", post(|| async { StatusCode::ACCEPTED }));
        origins.push(serve(|_| sink).await?);
    }
    Ok(origins)
}

/// Serves a router on a loopback port of its own, for as long as the process runs.
pub(super) async fn serve(router: impl FnOnce(&Origin) -> Router) -> anyhow::Result<Origin> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin: Origin = format!("http://{}", listener.local_addr()?).parse()?;
    let router = router(&origin);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(origin)
}

/// Does `count` operations with `workers` at a time; each is given its number. The latencies, and the time for all.
pub(super) async fn timed<F>(
    workers: usize,
    count: usize,
    operation: impl Fn(usize) -> F + Send + Sync + 'static,
) -> anyhow::Result<(Vec<Duration>, Duration)>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let (operation, next) = (Arc::new(operation), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..workers {
        let (operation, next) = (operation.clone(), next.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(latencies);
                }
                let begin = Instant::now();
                operation(number).await?;
                latencies.push(begin.elapsed());
            }
        });
    }
    let mut latencies = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        latencies.append(&mut done??);
    }
    Ok((latencies, start.elapsed()))
}
