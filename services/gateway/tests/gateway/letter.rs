//! A request to the gateway, every part of which can be wrong.

use std::net::SocketAddr;

use axum::{Router, body::Body, extract::ConnectInfo};
use fedsx_kernel::{
    actor,
    http_signature::{digest, rfc9421},
    key::SigningKey,
};
use http::Request;
use serde_json::Value;

use crate::{
    answer::Answer,
    domain::{Domain, ORIGIN},
    peer::Peer,
};

/// As it is made everything about it is right; what is spoiled then is signed as it is, unless it says otherwise.
#[derive(Clone)]
pub(crate) struct Letter {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// What is signed as `@target-uri`.
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// None: the header is left out.
    pub(crate) digest: Option<String>,
    pub(crate) key_id: String,
    pub(crate) seed: Vec<u8>,
    pub(crate) created: i64,
    pub(crate) signed: bool,
    pub(crate) body: Vec<u8>,
    /// Whom it comes from; all that come from nobody count as one client.
    pub(crate) client: Option<[u8; 4]>,
}

impl Letter {
    /// A POST of an activity to the shared inbox, by its actor.
    pub(crate) fn new(domain: &Domain, peer: &Peer, activity: &Value) -> Self {
        let body = activity.to_string().into_bytes();
        Self {
            method: "POST",
            path: "/inbox".to_owned(),
            target: format!("{ORIGIN}/inbox"),
            headers: vec![("content-type", "application/activity+json".to_owned())],
            digest: Some(digest::of(&body)),
            key_id: actor::key_id(activity["actor"].as_str().unwrap_or_default()),
            seed: peer.key().seed().to_vec(),
            created: domain.now().as_second(),
            signed: true,
            body,
            client: None,
        }
    }

    /// A GET of a URL of the domain.
    pub(crate) fn get(domain: &Domain, peer: &Peer, reader: &str, url: &str) -> Self {
        let path = url.strip_prefix(ORIGIN).unwrap();
        Self {
            method: "GET",
            target: url.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            digest: None,
            body: Vec::new(),
            key_id: actor::key_id(reader),
            ..Self::new(domain, peer, &Value::Null)
        }
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.digest = Some(digest::of(&self.body));
        self
    }

    pub(crate) fn to(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self.target = format!("{ORIGIN}{path}");
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(header, _)| *header != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn digest(mut self, digest: Option<String>) -> Self {
        self.digest = digest;
        self
    }

    pub(crate) fn by_key(mut self, key_id: String) -> Self {
        self.key_id = key_id;
        self
    }

    pub(crate) fn forged(mut self) -> Self {
        self.seed = vec![255; 32];
        self
    }

    pub(crate) fn signed_later(mut self, seconds: i64) -> Self {
        self.created += seconds;
        self
    }

    pub(crate) fn from(mut self, client: [u8; 4]) -> Self {
        self.client = Some(client);
        self
    }

    pub(crate) fn unsigned(mut self) -> Self {
        self.signed = false;
        self
    }

    pub(crate) fn request(&self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        let mut covered = Vec::new();
        if let Some(digest) = &self.digest {
            request = request.header("content-digest", digest);
            covered.push(("content-digest", digest.as_str()));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if self.signed {
            let seed: [u8; 32] = self.seed.as_slice().try_into().unwrap();
            let parts = rfc9421::Request {
                method: self.method,
                target_uri: &self.target,
                headers: &covered,
            };
            let key = SigningKey::from_seed(&seed);
            let signed = rfc9421::sign(&parts, &self.key_id, &key, self.created, self.created + 60).unwrap();
            request = request
                .header("signature-input", signed.signature_input)
                .header("signature", signed.signature);
        }
        if let Some(client) = self.client {
            request = request.extension(ConnectInfo(SocketAddr::from((client, 443))));
        }
        request.body(Body::from(self.body.clone())).unwrap()
    }

    pub(crate) async fn send(&self, domain: &Domain) -> Answer {
        domain.send(self.request()).await
    }

    pub(crate) async fn send_to(&self, router: &Router) -> Answer {
        Answer::of(router, self.request()).await
    }
}

/// The activity without its proof.
pub(crate) fn without_proof(activity: &Value) -> Value {
    let mut activity = activity.clone();
    activity.as_object_mut().unwrap().remove("proof");
    activity
}
