//! What a received and a sent activity cost in identity: name, proof and HTTP signature. `cargo bench -p fedsx-kernel`.
#![allow(clippy::unwrap_used, reason = "a benchmark of failures is none")]

use divan::{Bencher, black_box};
use fedsx_kernel::{
    activity::{Activity, PUBLIC},
    canonical,
    draft::{Draft, Seal, Sealed},
    http_signature::{
        digest,
        rfc9421::{self, Request},
    },
    key::SigningKey,
    origin::Origin,
    proof,
};
use serde_json::json;

const ACTOR: &str = "https://blog.example/actors/alice";
const KEY_ID: &str = "https://blog.example/actors/alice#ed25519-key";
const NOW: i64 = 1_800_000_000;

fn main() {
    divan::main();
}

fn key() -> SigningKey {
    SigningKey::from_seed(&[13; 32])
}

/// Of which the sealed activity has about a kibibyte without its proof.
fn text() -> String {
    let draft = json!({
        "type": "Create",
        "to": [PUBLIC],
        "cc": ["https://blog.example/actors/alice/followers"],
        "object": {
            "id": "https://blog.example/objects/gig-night",
            "type": "Event",
            "attributedTo": ACTOR,
            "name": "Gig Night",
            "startTime": "2026-12-01T20:00:00Z",
            "endTime": "2026-12-01T23:30:00Z",
            "location": {"type": "Place", "name": "The Cellar", "latitude": 25.273962, "longitude": -71.184902},
            "content": "Three bands, one evening. ".repeat(6),
        },
    });
    draft.to_string()
}

fn draft() -> Draft {
    Draft::parse(text().as_bytes()).unwrap()
}

fn at<'a>(origin: &'a Origin, key: &'a SigningKey) -> Seal<'a> {
    Seal {
        origin,
        actor: ACTOR,
        published: "2026-11-21T10:00:00Z".parse().unwrap(),
        prev: None,
        key_id: KEY_ID,
        key,
    }
}

fn seal(draft: &Draft, key: &SigningKey) -> Sealed {
    draft
        .seal(&at(&"https://blog.example".parse().unwrap(), key))
        .unwrap()
}

fn body() -> Vec<u8> {
    seal(&draft(), &key()).body
}

fn request<'a>(headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
    Request {
        method: "POST",
        target_uri: "https://events.example/inbox",
        headers,
    }
}

fn activity() -> Activity {
    Activity::parse(&body()).unwrap()
}

#[divan::bench]
fn parse_and_cid(bencher: Bencher<'_, '_>) {
    let body = body();
    bencher.bench(|| Activity::parse(black_box(&body)).unwrap());
}

#[divan::bench]
fn canonical_form(bencher: Bencher<'_, '_>) {
    let document = activity().document().clone().into();
    bencher.bench(|| canonical::to_vec(black_box(&document)).unwrap());
}

#[divan::bench]
fn seal_draft(bencher: Bencher<'_, '_>) {
    let (draft, key) = (draft(), key());
    bencher.bench(|| seal(black_box(&draft), &key));
}

#[divan::bench]
fn name_draft(bencher: Bencher<'_, '_>) {
    let (draft, key) = (draft(), key());
    let origin = "https://blog.example".parse().unwrap();
    let seal = at(&origin, &key);
    bencher.bench(|| black_box(&draft).name(&seal).unwrap());
}

#[divan::bench]
fn parse_draft(bencher: Bencher<'_, '_>) {
    let text = text();
    bencher.bench(|| Draft::parse(black_box(text.as_bytes())).unwrap());
}

#[divan::bench]
fn proof_sign(bencher: Bencher<'_, '_>) {
    let mut document = activity().document().clone();
    document.remove("proof");
    let (key, created) = (key(), "2026-11-21T10:00:00Z".parse().unwrap());
    bencher.bench(|| proof::sign(black_box(&document), KEY_ID, &key, created).unwrap());
}

#[divan::bench]
fn proof_verify(bencher: Bencher<'_, '_>) {
    let activity = activity();
    let key = key().verifying_key();
    bencher.bench(|| proof::verify(black_box(activity.document()), &key).unwrap());
}

#[divan::bench]
fn http_signature_sign(bencher: Bencher<'_, '_>) {
    let digest = digest::of(&body());
    let headers = [("content-digest", digest.as_str())];
    let key = key();
    bencher.bench(|| rfc9421::sign(black_box(&request(&headers)), KEY_ID, &key, NOW, NOW + 60).unwrap());
}

#[divan::bench]
fn http_signature_verify(bencher: Bencher<'_, '_>) {
    let body = body();
    let digest = digest::of(&body);
    let headers = [("content-digest", digest.as_str())];
    let request = request(&headers);
    let signed = rfc9421::sign(&request, KEY_ID, &key(), NOW, NOW + 60).unwrap();
    let key = key().verifying_key();
    bencher.bench(|| {
        digest::check(black_box(&digest), &body).unwrap();
        let candidate = rfc9421::parse(&signed.signature_input, &signed.signature).unwrap();
        candidate.precheck(NOW, true).unwrap();
        candidate.verify(&request, &key).unwrap();
    });
}
