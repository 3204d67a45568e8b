//! A stranger's HTTP server: actor documents, and inboxes and webhooks that answer by script.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use fedsx_kernel::{
    actor::{Kind, NewActor},
    key::VerifyingKey,
    origin::Origin,
};
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// What a stranger's inboxes and webhooks answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scripted {
    /// 202, and the activity is kept.
    Accept,
    /// This status; the activity counts as never seen.
    Status(u16),
    /// Nothing, until the stranger goes down.
    Hang,
}

/// What a stranger shows at a path.
#[derive(Debug, Clone)]
pub enum Shown {
    Bytes(Vec<u8>),
    Status(u16),
    /// Nothing, until the stranger goes down.
    Hang,
}

/// An activity that a stranger's inbox took, or what its webhook was told.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub activity: Value,
}

/// What outlives the server's ups and downs.
#[derive(Debug)]
pub(super) struct Shared {
    origin: Origin,
    key: VerifyingKey,
    script: Mutex<Scripted>,
    received: Mutex<Vec<Received>>,
    shown: Mutex<HashMap<String, Shown>>,
}

impl Shared {
    pub(super) fn new(origin: Origin, key: VerifyingKey) -> Self {
        Self {
            origin,
            key,
            script: Mutex::new(Scripted::Accept),
            received: Mutex::default(),
            shown: Mutex::default(),
        }
    }

    pub(super) fn script(&self, scripted: Scripted) {
        *lock(&self.script) = scripted;
    }

    pub(super) fn show(&self, path: &str, shown: Shown) {
        lock(&self.shown).insert(path.to_owned(), shown);
    }

    pub(super) fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }

    fn document(&self, name: Option<String>) -> Response {
        let kind = if name.is_some() {
            Kind::Person
        } else {
            Kind::Service
        };
        let actor = NewActor {
            name,
            kind,
            display_name: None,
            summary: None,
            manual_approval: false,
        };
        let document = actor.document(&self.origin, &self.key).to_string();
        ([(header::CONTENT_TYPE, "application/activity+json")], document).into_response()
    }
}

/// A server that listens.
#[derive(Debug)]
pub(super) struct Server {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct App {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Server {
    pub(super) async fn start(address: SocketAddr, shared: Arc<Shared>) -> Self {
        let listener = TcpListener::bind(address)
            .await
            .unwrap_or_else(|error| panic!("{address}: {error}"));
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/", get(async |State(app): State<App>| app.shared.document(None)))
            .route("/actors/{name}", get(actor))
            .route("/inbox", post(inbox))
            .route("/actors/{name}/inbox", post(inbox))
            .route("/hooks/{name}", post(inbox))
            .fallback(page)
            .with_state(App {
                shared,
                stop: stop.clone(),
            });
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
                .expect("a server");
        });
        Self { stop, task }
    }

    /// Ends when the last connection is closed.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("a server that ends");
    }
}

async fn page(State(app): State<App>, uri: Uri) -> Response {
    let shown = lock(&app.shared.shown).get(uri.path()).cloned();
    match shown {
        Some(Shown::Bytes(bytes)) => bytes.into_response(),
        Some(Shown::Status(status)) => StatusCode::from_u16(status)
            .expect("an HTTP status")
            .into_response(),
        Some(Shown::Hang) => {
            app.stop.cancelled().await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn actor(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.shared.document(Some(name))
}

async fn inbox(State(app): State<App>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let scripted = *lock(&app.shared.script);
    match scripted {
        Scripted::Status(status) => StatusCode::from_u16(status).expect("an HTTP status"),
        Scripted::Hang => {
            app.stop.cancelled().await;
            StatusCode::SERVICE_UNAVAILABLE
        }
        Scripted::Accept => {
            let Ok(activity) = serde_json::from_slice(&body) else {
                return StatusCode::BAD_REQUEST;
            };
            lock(&app.shared.received).push(Received {
                path: uri.path().to_owned(),
                headers,
                activity,
            });
            StatusCode::ACCEPTED
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
