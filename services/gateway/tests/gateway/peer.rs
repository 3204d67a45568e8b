//! A peer: actors with keys, whose documents a real HTTP server shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
};
use fedsx_kernel::{
    actor::{self, Kind, NewActor},
    draft::{Draft, Seal},
    key::SigningKey,
    origin::Origin,
};
use http::{StatusCode, Uri, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// What a path answers instead of the actor's document.
#[derive(Debug, Clone)]
pub(crate) enum Page {
    Status(u16),
    Redirect(String),
    /// No answer at all.
    Never,
    Document {
        content_type: &'static str,
        body: String,
    },
}

#[derive(Default)]
struct Shared {
    pages: BTreeMap<String, Page>,
    seed: u8,
    gets: Vec<String>,
}

pub(crate) struct Peer {
    pub(crate) origin: Origin,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin: Origin = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            seed: 1,
            ..Shared::default()
        }));
        let router = Router::new()
            .fallback(page)
            .with_state((origin.clone(), shared.clone()));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            origin,
            shared,
            server,
        }
    }

    /// Stops listening: connections are refused from now on.
    pub(crate) async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    pub(crate) fn actor(&self, name: &str) -> String {
        self.origin.actor(name)
    }

    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_seed(&[self.shared.lock().unwrap().seed; 32])
    }

    /// Every actor has another key from now on, under the same id.
    pub(crate) fn rotate(&self) {
        self.shared.lock().unwrap().seed += 1;
    }

    pub(crate) fn answers(&self, path: &str, page: Page) {
        self.shared.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    pub(crate) fn answers_well(&self, path: &str) {
        self.shared.lock().unwrap().pages.remove(path);
    }

    /// How often a path was asked for.
    pub(crate) fn gets(&self, path: &str) -> usize {
        self.shared
            .lock()
            .unwrap()
            .gets
            .iter()
            .filter(|got| *got == path)
            .count()
    }

    /// Different paths that were asked for.
    pub(crate) fn paths(&self) -> BTreeSet<String> {
        self.shared.lock().unwrap().gets.iter().cloned().collect()
    }

    /// Seals a draft of an actor as a well-behaved domain does.
    pub(crate) fn seal(&self, name: &str, draft: &Value) -> Value {
        let id = if name.is_empty() {
            self.origin.base()
        } else {
            self.actor(name)
        };
        let seal = Seal {
            origin: &self.origin,
            actor: &id,
            published: Timestamp::UNIX_EPOCH,
            prev: None,
            key_id: &actor::key_id(&id),
            key: &self.key(),
        };
        let sealed = Draft::parse(draft.to_string().as_bytes())
            .unwrap()
            .seal(&seal)
            .unwrap();
        serde_json::from_slice(&sealed.body).unwrap()
    }

    pub(crate) fn note(&self, name: &str, text: &str, to: &[&str]) -> Value {
        let object = json!({ "type": "Note", "content": text });
        self.seal(name, &json!({ "type": "Create", "object": object, "to": to }))
    }
}

/// The document of an actor at an origin, with the key of a seed.
pub(crate) fn document(origin: &Origin, name: &str, seed: u8) -> Value {
    let name = Some(name.to_owned()).filter(|name| !name.is_empty());
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
    actor.document(origin, &SigningKey::from_seed(&[seed; 32]).verifying_key())
}

async fn page(State((origin, shared)): State<(Origin, Arc<Mutex<Shared>>)>, uri: Uri) -> Response {
    let (page, seed) = {
        let mut shared = shared.lock().unwrap();
        shared.gets.push(uri.path().to_owned());
        (shared.pages.get(uri.path()).cloned(), shared.seed)
    };
    let show = |content_type: &'static str, body: String| ([(header::CONTENT_TYPE, content_type)], body);
    match page {
        Some(Page::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Page::Never) => std::future::pending().await,
        Some(Page::Redirect(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Some(Page::Document { content_type, body }) => show(content_type, body).into_response(),
        None => {
            let name = uri.path().strip_prefix("/actors/").unwrap_or_default();
            show(
                "application/activity+json",
                document(&origin, name, seed).to_string(),
            )
            .into_response()
        }
    }
}
