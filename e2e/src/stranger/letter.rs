//! A POST to an inbox, every part of which can be wrong.

use fedsx_kernel::{
    http_signature::{
        digest,
        rfc9421::{self, Request},
    },
    key::SigningKey,
};
use jiff::Timestamp;

use crate::{Answer, answer};

/// How long a signature lives. Seconds.
const LIFE: i64 = 60;

/// A POST under construction. As it is made, everything about it is right; each field may then be spoiled. The signature
/// is made when it is posted, over the fields as they are then.
#[derive(Debug, Clone)]
pub struct Letter {
    pub url: String,
    /// What is signed as `@target-uri`.
    pub target: String,
    pub content_type: String,
    pub digest: String,
    pub key_id: String,
    pub seed: [u8; 32],
    /// Unix seconds.
    pub created: i64,
    pub signed: bool,
    pub body: Vec<u8>,
}

impl Letter {
    pub(super) fn new(url: String, body: Vec<u8>, key_id: String, seed: [u8; 32]) -> Self {
        Self {
            target: url.clone(),
            url,
            content_type: "application/activity+json".to_owned(),
            digest: digest::of(&body),
            key_id,
            seed,
            created: Timestamp::now().as_second(),
            signed: true,
            body,
        }
    }

    /// Another body, with its right digest.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.digest = digest::of(&self.body);
        self
    }

    /// To another inbox.
    #[must_use]
    pub fn to(mut self, url: String) -> Self {
        self.target.clone_from(&url);
        self.url = url;
        self
    }

    /// Without an HTTP signature.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.signed = false;
        self
    }

    /// Claiming this key.
    #[must_use]
    pub fn by_key(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = key_id.into();
        self
    }

    /// Signed with another private key than the one that it claims.
    #[must_use]
    pub fn forged(mut self) -> Self {
        self.seed = [255; 32];
        self
    }

    /// Signed so many seconds later than now; negative: earlier.
    #[must_use]
    pub fn signed_later(mut self, seconds: i64) -> Self {
        self.created += seconds;
        self
    }

    /// Sends it.
    pub async fn post(&self) -> Answer {
        let mut request = answer::client()
            .post(&self.url)
            .header("content-type", &self.content_type)
            .header("content-digest", &self.digest);
        if self.signed {
            let headers = [("content-digest", self.digest.as_str())];
            let covered = Request {
                method: "POST",
                target_uri: &self.target,
                headers: &headers,
            };
            request = signed(request, &covered, &self.key_id, &self.seed, self.created);
        }
        let answer = answer::send(request.body(self.body.clone())).await;
        answer.unwrap_or_else(|error| panic!("POST {}: {error:?}", self.url))
    }
}

/// GETs a URL, signed with a key.
pub(super) async fn signed_get(url: &str, key_id: &str, seed: &[u8; 32]) -> Answer {
    let request = answer::client()
        .get(url)
        .header("accept", "application/activity+json");
    let covered = Request {
        method: "GET",
        target_uri: url,
        headers: &[],
    };
    let request = signed(request, &covered, key_id, seed, Timestamp::now().as_second());
    answer::send(request)
        .await
        .unwrap_or_else(|error| panic!("GET {url}: {error:?}"))
}

fn signed(
    request: reqwest::RequestBuilder,
    covered: &Request<'_>,
    key_id: &str,
    seed: &[u8; 32],
    created: i64,
) -> reqwest::RequestBuilder {
    let key = SigningKey::from_seed(seed);
    let signed = rfc9421::sign(covered, key_id, &key, created, created + LIFE);
    let signed = signed.expect("a key id that can stand in a header");
    request
        .header("signature-input", signed.signature_input)
        .header("signature", signed.signature)
}
