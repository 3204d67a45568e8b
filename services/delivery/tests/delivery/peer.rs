//! A peer on loopback that keeps what it gets and answers as it is told to.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use fedsx_kernel::{
    http_signature::{digest, rfc9421},
    key::VerifyingKey,
    origin::Origin,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};

/// One POST that was answered 2xx.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) activity: Value,
    pub(crate) content_type: String,
    pub(crate) traceparent: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

impl Received {
    pub(crate) fn id(&self) -> &str {
        self.activity["id"].as_str().unwrap()
    }
}

/// What a POST is answered with, by its path and activity.
pub(crate) type Answer = Box<dyn Fn(&str, &Value) -> Response + Send + Sync>;

/// A peer.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) origin: Origin,
    shared: Arc<Shared>,
}

struct Shared {
    origin: Origin,
    received: Mutex<Vec<Received>>,
    tried: Mutex<usize>,
    hanging: AtomicUsize,
    answer: Mutex<Answer>,
    /// Status of every GET.
    actors: Mutex<StatusCode>,
    /// The actor whose document and inbox are broken.
    broken: Mutex<Option<String>>,
    keys: Mutex<HashMap<String, VerifyingKey>>,
    /// Closed, requests hang.
    gate: Semaphore,
}

impl Shared {
    fn is_broken(&self, path: &str) -> bool {
        let broken = lock(&self.broken);
        broken.as_ref().is_some_and(|actor| path.starts_with(actor))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin: Origin = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let shared = Arc::new(Shared {
            origin: origin.clone(),
            received: Mutex::default(),
            tried: Mutex::default(),
            hanging: AtomicUsize::new(0),
            answer: Mutex::new(Box::new(|_, _| StatusCode::ACCEPTED.into_response())),
            actors: Mutex::new(StatusCode::OK),
            broken: Mutex::default(),
            keys: Mutex::default(),
            gate: Semaphore::new(1 << 20),
        });
        let router = Router::new()
            .route("/", get(base))
            .route("/.well-known/nodeinfo", get(nodeinfo))
            .route("/actors/{name}", get(actor))
            .fallback(post(inbox))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, shared }
    }

    /// Knows the keys by which requests are signed; a request that they do not verify is answered 401.
    pub(crate) fn knows(&self, id: &str, key: VerifyingKey) {
        lock(&self.shared.keys).insert(id.to_owned(), key);
    }

    /// Answers like this from now on.
    pub(crate) fn answers(&self, answer: impl Fn(&str, &Value) -> Response + Send + Sync + 'static) {
        *lock(&self.shared.answer) = Box::new(answer);
    }

    /// Answers every POST with this status from now on.
    pub(crate) fn says(&self, status: u16) {
        let status = StatusCode::from_u16(status).unwrap();
        self.answers(move |_, _| status.into_response());
    }

    /// Answers every GET of an actor with this status from now on.
    pub(crate) fn actors_say(&self, status: u16) {
        *lock(&self.shared.actors) = StatusCode::from_u16(status).unwrap();
    }

    /// Answers nothing of this actor's any more, but for a 503.
    pub(crate) fn breaks(&self, name: &str) {
        *lock(&self.shared.broken) = Some(format!("/actors/{name}"));
    }

    /// Is away for POST and GET alike, or back.
    pub(crate) fn is_away(&self, away: bool) {
        self.says(if away { 503 } else { 202 });
        self.actors_say(if away { 503 } else { 200 });
    }

    /// Lets requests hang until [`Peer::goes_on`].
    pub(crate) fn hangs(&self) {
        self.shared.gate.forget_permits(1 << 20);
    }

    pub(crate) fn goes_on(&self) {
        self.shared.gate.add_permits(1 << 20);
    }

    /// What it took, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// The ids of what it took, in order.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.received()
            .iter()
            .map(|received| received.id().to_owned())
            .collect()
    }

    /// POSTs that arrived, whatever became of them.
    pub(crate) fn tried(&self) -> usize {
        *lock(&self.shared.tried)
    }

    /// POSTs that are waiting for an answer, and whose sender waits as well.
    pub(crate) fn hanging(&self) -> usize {
        self.shared.hanging.load(Ordering::SeqCst)
    }

    pub(crate) fn actor(&self, name: &str) -> String {
        self.origin.actor(name)
    }
}

/// A POST that is here. Dropped with its connection, too.
struct Here<'a>(&'a AtomicUsize);

impl<'a> Here<'a> {
    fn comes(here: &'a AtomicUsize) -> Self {
        here.fetch_add(1, Ordering::SeqCst);
        Self(here)
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn inbox(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    *lock(&shared.tried) += 1;
    let _here = Here::comes(&shared.hanging);
    let _passage = shared.gate.acquire().await.unwrap();
    if shared.is_broken(uri.path()) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Err(why) = verify(&shared, uri.path(), &headers, &body) {
        return (StatusCode::UNAUTHORIZED, why).into_response();
    }
    let activity: Value = serde_json::from_slice(&body).unwrap();
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let answer = lock(&shared.answer)(uri.path(), &activity);
    if answer.status().is_success() {
        lock(&shared.received).push(Received {
            path: uri.path().to_owned(),
            activity,
            content_type: header("content-type").unwrap_or_default(),
            traceparent: header("traceparent"),
            idempotency_key: header("idempotency-key"),
        });
    }
    answer
}

fn verify(shared: &Shared, path: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let target = format!("{}{path}", shared.origin);
    let content_digest = header("content-digest");
    digest::check(content_digest, body).map_err(|error| error.to_string())?;
    let candidate =
        rfc9421::parse(header("signature-input"), header("signature")).map_err(|error| error.to_string())?;
    let keys = lock(&shared.keys);
    let key = keys.get(candidate.key_id()).ok_or("unknown key")?;
    let covered = ["content-digest", "idempotency-key"].map(|name| (name, header(name)));
    if !covered[1].1.is_empty() && !header("signature-input").contains("\"idempotency-key\"") {
        return Err("the idempotency key is not signed".to_owned());
    }
    let request = rfc9421::Request {
        method: "POST",
        target_uri: &target,
        headers: &covered,
    };
    candidate.verify(&request, key).map_err(|error| error.to_string())
}

async fn base(State(shared): State<Arc<Shared>>) -> Response {
    document(&shared, &shared.origin.base(), &shared.origin.shared_inbox())
}

async fn nodeinfo(State(shared): State<Arc<Shared>>) -> Response {
    match *lock(&shared.actors) {
        StatusCode::OK => axum::Json(json!({"links": []})).into_response(),
        status => status.into_response(),
    }
}

async fn actor(State(shared): State<Arc<Shared>>, uri: Uri, Path(name): Path<String>) -> Response {
    if shared.is_broken(uri.path()) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let id = shared.origin.actor(&name);
    document(&shared, &id, &format!("{id}/inbox"))
}

fn document(shared: &Shared, id: &str, inbox: &str) -> Response {
    let status = *lock(&shared.actors);
    let document = json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "type": "Person", "id": id, "inbox": inbox, "outbox": format!("{id}/outbox"),
        "endpoints": {"sharedInbox": shared.origin.shared_inbox()},
    });
    (
        status,
        [("content-type", "application/activity+json")],
        document.to_string(),
    )
        .into_response()
}
