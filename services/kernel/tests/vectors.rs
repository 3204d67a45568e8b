//! The kernel against published test vectors; `vectors/README.md` says whose they are.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use fedsx_kernel::{
    actor::ActorDocument,
    canonical,
    http_signature::rfc9421::{self, Request, SignatureError},
    json,
    key::{KeyError, SigningKey, VerifyingKey},
    proof::{self, ProofError},
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

fn bytes(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(path: &str) -> String {
    String::from_utf8(bytes(path)).unwrap().trim().to_owned()
}

fn object(path: &str) -> Map<String, Value> {
    json::parse(&bytes(path)).unwrap().as_object().unwrap().clone()
}

fn member<'a>(document: &'a Map<String, Value>, name: &str) -> &'a str {
    document[name].as_str().unwrap()
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[test]
fn rfc8785_canonical_form() {
    for name in ["arrays", "french", "structures", "unicode", "values", "weird"] {
        let value = json::parse(&bytes(&format!("rfc8785/input/{name}.json"))).unwrap();
        let expected = bytes(&format!("rfc8785/output/{name}.json"));
        let canonical = canonical::to_vec(&value).unwrap();
        assert_eq!(
            String::from_utf8(canonical),
            String::from_utf8(expected),
            "{name}"
        );
    }
}

#[test]
fn eddsa_jcs_2022_hashes() {
    let mut document = object("eddsa-jcs-2022/signedJCS.json");
    document.remove("proof");
    let document = canonical::to_vec(&document.into()).unwrap();
    assert_eq!(
        String::from_utf8(document.clone()).unwrap(),
        text("eddsa-jcs-2022/canonDocJCS.txt")
    );
    assert_eq!(sha256_hex(&document), text("eddsa-jcs-2022/docHashJCS.txt"));

    let config = canonical::to_vec(&object("eddsa-jcs-2022/proofConfigJCS.json").into()).unwrap();
    assert_eq!(
        String::from_utf8(config.clone()).unwrap(),
        text("eddsa-jcs-2022/proofCanonJCS.txt")
    );
    assert_eq!(sha256_hex(&config), text("eddsa-jcs-2022/proofHashJCS.txt"));

    let combined = format!("{}{}", sha256_hex(&config), sha256_hex(&document));
    assert_eq!(combined, text("eddsa-jcs-2022/combinedHashJCS.txt"));
    let pair = object("eddsa-jcs-2022/keyPair.json");
    let key = SigningKey::from_multibase(member(&pair, "privateKeyMultibase")).unwrap();
    let signature = key.sign(&hex::decode(combined).unwrap());
    assert_eq!(hex::encode(signature), text("eddsa-jcs-2022/sigHexJCS.txt"));
    assert_eq!(
        key.verifying_key().to_multibase(),
        member(&pair, "publicKeyMultibase")
    );
}

#[test]
fn eddsa_jcs_2022_proof() {
    let pair = object("eddsa-jcs-2022/keyPair.json");
    let signed = object("eddsa-jcs-2022/signedJCS.json");
    let key = VerifyingKey::from_multibase(member(&pair, "publicKeyMultibase")).unwrap();
    proof::verify(&signed, &key).unwrap();

    let key = SigningKey::from_multibase(member(&pair, "privateKeyMultibase")).unwrap();
    let mut document = signed.clone();
    let published = document.remove("proof").unwrap();
    let info = proof::info(&signed).unwrap();
    let again = proof::sign(&document, info.verification_method, &key, info.created.unwrap()).unwrap();
    assert_eq!(again, published);
    assert_eq!(
        again["proofValue"],
        text("eddsa-jcs-2022/sigBTC58JCS.txt").as_str()
    );
}

#[test]
fn fep_8b32_sign_and_verify() {
    let vector = object("fep-8b32/sign-and-verify.json");
    let unsigned = vector["unsigned"].as_object().unwrap();
    let signed = vector["signed"].as_object().unwrap();
    let key = SigningKey::from_multibase(member(&vector, "secretKeyMultibase")).unwrap();
    let method = member(&vector, "verificationMethod");
    let created = member(&vector, "created").parse().unwrap();
    assert_eq!(
        proof::sign(unsigned, method, &key, created).unwrap(),
        signed["proof"]
    );

    let actor = ActorDocument::parse(vector["actor"].as_object().unwrap()).unwrap();
    let key = actor
        .key(proof::info(signed).unwrap().verification_method)
        .unwrap();
    proof::verify(signed, key).unwrap();

    let mut forged = signed.clone();
    forged["object"]["content"] = "Hello, world".into();
    assert_eq!(proof::verify(&forged, key), Err(ProofError::BadSignature));
}

#[test]
fn fep_521a_multikeys() {
    let vector = object("fep-521a/multikeys.json");
    let published = vector["ed25519Multikey"]["publicKeyMultibase"].as_str().unwrap();
    let key = VerifyingKey::from_multibase(published).unwrap();
    assert_eq!(key.to_multibase(), published);
    let (_, decoded) = multibase::decode(published).unwrap();
    assert_eq!(hex::encode(&decoded[2..]), member(&vector, "ed25519PublicKeyHex"));

    let rsa = vector["rsaMultikey"]["publicKeyMultibase"].as_str().unwrap();
    assert_eq!(VerifyingKey::from_multibase(rsa), Err(KeyError::Unsupported));
}

#[test]
fn rfc9421_b26_signature() {
    let vector = object("rfc9421/b26-ed25519.json");
    let public: Vec<u8> = URL_SAFE_NO_PAD
        .decode(vector["jwk"]["x"].as_str().unwrap())
        .unwrap();
    let multikey = multibase::encode(
        multibase::Base::Base58Btc,
        [&[0xed, 0x01], public.as_slice()].concat(),
    );
    let key = VerifyingKey::from_multibase(&multikey).unwrap();
    let request = Request {
        method: "POST",
        target_uri: "https://example.com/foo?param=Value&Pet=dog",
        headers: &[
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("content-type", "application/json"),
            ("content-length", "18"),
        ],
    };
    let signature = format!("sig-b26=:{}:", member(&vector, "signature"));
    let candidate = rfc9421::parse(member(&vector, "signatureInput"), &signature).unwrap();
    assert_eq!(candidate.key_id(), member(&vector, "keyid"));
    candidate.verify(&request, &key).unwrap();

    let elsewhere = Request {
        target_uri: "https://example.com/bar",
        ..request
    };
    assert_eq!(candidate.verify(&elsewhere, &key), Err(SignatureError::Bad));
}

#[test]
fn rfc9421_b26_key_signs_the_published_base() {
    let vector = object("rfc9421/b26-ed25519.json");
    let secret = URL_SAFE_NO_PAD
        .decode(vector["jwk"]["d"].as_str().unwrap())
        .unwrap();
    let key = SigningKey::from_seed(&secret.try_into().unwrap());
    let lines: Vec<&str> = vector["signatureBase"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l.as_str().unwrap())
        .collect();
    assert_eq!(
        STANDARD.encode(key.sign(lines.join("\n").as_bytes())),
        member(&vector, "signature")
    );
}
