//! A peer made of a key and an HTTP server, that signs what it likes and breaks what it likes.

mod letter;
mod server;

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use fedsx_kernel::{
    actor,
    draft::{Draft, Seal},
    key::SigningKey,
    origin::Origin,
};
use jiff::Timestamp;
use serde_json::{Value, json};

pub use letter::Letter;
pub use server::{Received, Scripted, Shown};

use crate::{Answer, Domain, Port, Proxy};
use server::{Server, Shared};

static STRANGERS: AtomicU8 = AtomicU8::new(1);

/// A peer that is no fed-sx process. Any name is an actor of it, and all of them sign with one key.
#[derive(Debug)]
pub struct Stranger {
    origin: Origin,
    seed: [u8; 32],
    port: Port,
    shared: Arc<Shared>,
    server: Option<Server>,
}

impl Stranger {
    /// A stranger that listens on a loopback port.
    pub async fn new() -> Self {
        let port = Port::reserve();
        Self::at(&port.origin(), port).await
    }

    /// A stranger whose peers reach it through a proxy.
    pub async fn behind(proxy: &Proxy) -> Self {
        let port = Port::reserve();
        proxy.leads_to(port.address());
        Self::at(&proxy.origin(), port).await
    }

    async fn at(origin: &str, port: Port) -> Self {
        let origin: Origin = origin.parse().expect("a loopback origin");
        let seed = [STRANGERS.fetch_add(1, Ordering::Relaxed); 32];
        let key = SigningKey::from_seed(&seed).verifying_key();
        let shared = Arc::new(Shared::new(origin.clone(), key));
        let mut stranger = Self {
            origin,
            seed,
            port,
            shared,
            server: None,
        };
        stranger.up().await;
        stranger
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub fn base(&self) -> String {
        self.origin.base()
    }

    /// The id of one of its actors.
    pub fn actor(&self, name: &str) -> String {
        self.origin.actor(name)
    }

    /// Listens again after [`Self::down`].
    pub async fn up(&mut self) {
        assert!(self.server.is_none(), "{} listens already", self.origin);
        self.server = Some(Server::start(self.port.address(), self.shared.clone()).await);
    }

    /// Stops listening and closes every connection.
    pub async fn down(&mut self) {
        self.server.take().expect("a server that listens").stop().await;
    }

    /// What its inboxes answer from now on.
    pub fn answers(&self, scripted: Scripted) {
        self.shared.script(scripted);
    }

    /// What it shows at a path from now on, `/types/<cid>`.
    pub fn shows(&self, path: &str, shown: Shown) {
        self.shared.show(path, shown);
    }

    /// What was posted to its inboxes and answered with success, in order.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received()
    }

    /// Received activities of this type.
    pub fn received_verbs(&self, verb: &str) -> Vec<Value> {
        let activities = self.received().into_iter().map(|received| received.activity);
        activities.filter(|activity| activity["type"] == verb).collect()
    }

    /// Seals a draft of one of its actors: CID, id and proof as a well-behaved domain gives them.
    pub fn seal(&self, name: &str, draft: &Value) -> Value {
        let draft =
            Draft::parse(draft.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {draft}"));
        let id = self.actor(name);
        let seal = Seal {
            origin: &self.origin,
            actor: &id,
            published: Timestamp::now(),
            prev: None,
            key_id: &actor::key_id(&id),
            key: &SigningKey::from_seed(&self.seed),
        };
        let sealed = draft.seal(&seal).expect("a draft that can be sealed");
        serde_json::from_slice(&sealed.body).expect("a sealed activity is JSON")
    }

    /// A sealed `Create` of a Note by one of its actors, to these addressees.
    pub fn note(&self, name: &str, text: &str, to: &[&str]) -> Value {
        let object = json!({ "type": "Note", "name": text, "attributedTo": self.actor(name) });
        self.seal(name, &json!({ "type": "Create", "object": object, "to": to }))
    }

    /// A sealed `Follow` by one of its actors.
    pub fn follow(&self, name: &str, target: &str) -> Value {
        self.seal(
            name,
            &json!({ "type": "Follow", "object": target, "to": [target] }),
        )
    }

    /// A POST of an activity to a domain's shared inbox, signed by the activity's actor as RFC 9421 describes.
    pub fn letter(&self, to: &Domain, activity: &Value) -> Letter {
        let actor = &activity["actor"];
        let actor = actor.as_str().or(actor["id"].as_str()).unwrap_or_default();
        Letter::new(
            to.url("/inbox"),
            activity.to_string().into_bytes(),
            actor::key_id(actor),
            self.seed,
        )
    }

    /// GETs a URL, signed by one of its actors.
    pub async fn get(&self, name: &str, url: &str) -> Answer {
        letter::signed_get(url, &actor::key_id(&self.actor(name)), &self.seed).await
    }

    /// Posts an activity, signed.
    pub async fn post(&self, to: &Domain, activity: &Value) -> Answer {
        self.letter(to, activity).post().await
    }
}

/// The activity without its proof: what an ordinary ActivityPub server sends.
pub fn without_proof(activity: &Value) -> Value {
    let mut activity = activity.clone();
    activity.as_object_mut().expect("an object").remove("proof");
    activity
}
