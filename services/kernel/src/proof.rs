//! Object integrity proofs: FEP-8b32 with the cryptosuite `eddsa-jcs-2022` (W3C Data Integrity EdDSA, section 3.3).

use std::borrow::Cow;

use jiff::Timestamp;
use multibase::Base;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    activity::envelope,
    canonical::{self, CanonicalError, members::Members},
    json,
    key::{SigningKey, VerifyingKey},
};

const TYPE: &str = "DataIntegrityProof";
const CRYPTOSUITE: &str = "eddsa-jcs-2022";
const PURPOSE: &str = "assertionMethod";
/// Longest text of 64 bytes in base58btc, its `z` included. Longer ones are not decoded, since that takes quadratic time.
const MAX_VALUE: usize = 89;

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("the document has no proof")]
    Missing,
    #[error("the proof is malformed: {0}")]
    Malformed(String),
    #[error("the proof's cryptosuite is not eddsa-jcs-2022")]
    Unsupported,
    #[error("the signature does not match the document")]
    BadSignature,
}

/// What a proof says of itself, before it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofInfo<'a> {
    /// The key's id, `https://blog.example/actors/alice#ed25519-key`.
    pub verification_method: &'a str,
    /// When it was made, if it says so.
    pub created: Option<Timestamp>,
}

/// Whether the document carries a `proof` at all.
#[must_use]
pub fn is_present(document: &Map<String, Value>) -> bool {
    document.contains_key("proof")
}

/// Reads the proof's claims without verifying them.
///
/// # Errors
/// [`ProofError`] where there is none, it is malformed (several proofs included) or of another suite or purpose.
pub fn info(document: &Map<String, Value>) -> Result<ProofInfo<'_>, ProofError> {
    let proof = the_proof(document)?;
    if text(proof, "type")? != TYPE || text(proof, "cryptosuite")? != CRYPTOSUITE {
        return Err(ProofError::Unsupported);
    }
    if text(proof, "proofPurpose")? != PURPOSE {
        return Err(malformed("its purpose is not assertionMethod"));
    }
    let created = match envelope::present(proof, "created") {
        None => None,
        Some(_) => Some(
            text(proof, "created")?
                .parse()
                .map_err(|_| malformed("`created` is not a time"))?,
        ),
    };
    Ok(ProofInfo {
        verification_method: text(proof, "verificationMethod")?,
        created,
    })
}

/// Signs a document, returning the `proof` member to be put in it. `created` is cut to whole seconds.
///
/// # Errors
/// [`ProofError::Malformed`] where the document has no canonical form.
pub fn sign(
    document: &Map<String, Value>,
    verification_method: &str,
    key: &SigningKey,
    created: Timestamp,
) -> Result<Value, ProofError> {
    let document = Members::of(document)?;
    let claims = Claims::new(document.get("@context"), verification_method, created);
    let proof = claims.sign(&document.without(&["proof"]), key);
    json::parse(&proof).map_err(|error| malformed(error.to_string()))
}

/// All that a proof says but its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claims(Members);

impl Claims {
    /// The claims of a proof of a document with this `@context`, in canonical form. `created` is cut to whole seconds.
    pub(crate) fn new(context: Option<&[u8]>, verification_method: &str, created: Timestamp) -> Self {
        let mut claims = Members::default();
        if let Some(context) = context {
            claims.set_canonical("@context", context);
        }
        claims.set_string("created", &format!("{created:.0}"));
        claims.set_string("cryptosuite", CRYPTOSUITE);
        claims.set_string("proofPurpose", PURPOSE);
        claims.set_string("type", TYPE);
        claims.set_string("verificationMethod", verification_method);
        Self(claims)
    }

    /// Most bytes that the signed proof has.
    pub(crate) fn max_len(&self) -> usize {
        self.0.len() + ",\"proofValue\":\"\"".len() + MAX_VALUE
    }

    /// The proof in canonical form, of a document in canonical form without its proof.
    pub(crate) fn sign(mut self, document: &[u8], key: &SigningKey) -> Vec<u8> {
        let signature = key.sign(&hash_data(&self.0.to_vec(), document));
        let value = multibase::encode(Base::Base58Btc, signature);
        self.0.set_string("proofValue", &value);
        self.0.to_vec()
    }
}

/// Verifies the document's proof with a key that the caller has resolved and checked to belong to the actor.
///
/// # Errors
/// [`ProofError`]
pub fn verify(document: &Map<String, Value>, key: &VerifyingKey) -> Result<(), ProofError> {
    info(document)?;
    let proof = the_proof(document)?;
    let signature = signature(proof)?;
    let claims = canonical::without(proof, &["proofValue"])?;
    let document = as_signed(document, proof)?;
    let signed = canonical::without(&document, &["proof"])?;
    if key.verify(&hash_data(&claims, &signed), &signature) {
        Ok(())
    } else {
        Err(ProofError::BadSignature)
    }
}

/// What is signed: the hash of the proof without its value, then the hash of the document without its proof.
fn hash_data(claims: &[u8], document: &[u8]) -> [u8; 64] {
    let mut hashes = [0; 64];
    let (first, rest) = hashes.split_at_mut(32);
    first.copy_from_slice(&Sha256::digest(claims));
    rest.copy_from_slice(&Sha256::digest(document));
    hashes
}

/// The document as its signer saw it: the proof's `@context` must begin the document's, and stands for it (W3C, section
/// 3.3.2, step 4).
fn as_signed<'a>(
    document: &'a Map<String, Value>,
    proof: &Map<String, Value>,
) -> Result<Cow<'a, Map<String, Value>>, ProofError> {
    let Some(signed) = proof.get("@context") else {
        return Ok(Cow::Borrowed(document));
    };
    let Some(context) = document.get("@context") else {
        return Err(malformed("it has an @context, the document has none"));
    };
    if signed == context {
        return Ok(Cow::Borrowed(document));
    }
    if !envelope::entries(context).starts_with(envelope::entries(signed)) {
        return Err(malformed("its @context does not begin the document's"));
    }
    let mut document = document.clone();
    document.insert("@context".to_owned(), signed.clone());
    Ok(Cow::Owned(document))
}

fn signature(proof: &Map<String, Value>) -> Result<Vec<u8>, ProofError> {
    let value = text(proof, "proofValue")?;
    if !value.starts_with('z') || value.len() > MAX_VALUE {
        return Err(malformed("`proofValue` is not 64 bytes in base58btc"));
    }
    match multibase::decode(value) {
        Ok((_, bytes)) if bytes.len() == 64 => Ok(bytes),
        _ => Err(malformed("`proofValue` is not 64 bytes in base58btc")),
    }
}

fn the_proof(document: &Map<String, Value>) -> Result<&Map<String, Value>, ProofError> {
    match document.get("proof") {
        None => Err(ProofError::Missing),
        Some(Value::Object(proof)) => Ok(proof),
        Some(Value::Array(proofs)) if proofs.len() > 1 => Err(malformed("there are several")),
        Some(_) => Err(malformed("it is not an object")),
    }
}

fn text<'a>(proof: &'a Map<String, Value>, field: &str) -> Result<&'a str, ProofError> {
    let text = proof
        .get(field)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    text.ok_or_else(|| malformed(format!("`{field}` is missing or not a string")))
}

fn malformed(problem: impl Into<String>) -> ProofError {
    ProofError::Malformed(problem.into())
}

impl From<CanonicalError> for ProofError {
    fn from(error: CanonicalError) -> Self {
        malformed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[3; 32])
    }

    fn signed_with_context(context: &Value) -> Map<String, Value> {
        let mut document = json!({"id": "https://a.example/1", "type": "Create", "object": {"content": "x"}});
        if !context.is_null() {
            document["@context"] = context.clone();
        }
        let mut document = document.as_object().unwrap().clone();
        let created = "2026-11-21T10:00:00.999Z".parse().unwrap();
        let proof = sign(&document, "https://a.example/#key", &key(), created).unwrap();
        document.insert("proof".to_owned(), proof);
        document
    }

    fn signed() -> Map<String, Value> {
        signed_with_context(&json!(["https://a.example/ns", {"x": "y:z"}]))
    }

    fn check(document: &Map<String, Value>) -> Result<(), ProofError> {
        verify(document, &key().verifying_key())
    }

    #[test]
    fn a_signed_document_verifies_and_says_by_whom() {
        let document = signed();
        assert!(is_present(&document));
        check(&document).unwrap();
        let info = info(&document).unwrap();
        assert_eq!(info.verification_method, "https://a.example/#key");
        assert_eq!(info.created, "2026-11-21T10:00:00Z".parse().ok());
        assert_eq!(document["proof"]["created"], "2026-11-21T10:00:00Z");
        assert_eq!(document["proof"]["@context"], document["@context"]);
        let other = SigningKey::from_seed(&[4; 32]).verifying_key();
        assert_eq!(verify(&document, &other), Err(ProofError::BadSignature));
    }

    #[test]
    fn every_change_breaks_it() {
        let changes: [fn(&mut Map<String, Value>); 7] = [
            |document| document["object"]["content"] = "y".into(),
            |document| drop(document.remove("id")),
            |document| drop(document.insert("to".to_owned(), "https://b.example/".into())),
            |document| document["proof"]["created"] = "2026-11-21T10:00:01Z".into(),
            |document| document["proof"]["verificationMethod"] = "https://b.example/#key".into(),
            |document| document["proof"]["expires"] = "2036-11-21T10:00:00Z".into(),
            |document| drop(document["proof"].as_object_mut().unwrap().remove("@context")),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut document = signed();
            change(&mut document);
            assert_eq!(check(&document), Err(ProofError::BadSignature), "change {index}");
        }
    }

    #[test]
    fn the_proofs_context_begins_the_documents_and_stands_for_it() {
        let mut extended = signed();
        extended["@context"]
            .as_array_mut()
            .unwrap()
            .push("https://b.example/ns".into());
        check(&extended).unwrap();
        let mut single = signed_with_context(&json!("https://a.example/ns"));
        check(&single).unwrap();
        single["@context"] = json!(["https://a.example/ns", "https://b.example/ns"]);
        check(&single).unwrap();

        let ours = json!(["https://a.example/ns", {"x": "y:z"}]);
        for context in [
            json!(["https://b.example/ns"]),
            json!([ours[1], ours[0]]),
            json!([ours[0]]),
            json!([]),
        ] {
            let mut document = signed();
            document["@context"] = context;
            assert!(matches!(check(&document), Err(ProofError::Malformed(_))));
        }
        let mut without = signed();
        without.remove("@context");
        assert!(matches!(check(&without), Err(ProofError::Malformed(_))));
    }

    #[test]
    fn a_proof_without_context_is_taken_as_it_is() {
        let document = signed_with_context(&Value::Null);
        assert!(document["proof"].get("@context").is_none());
        check(&document).unwrap();
    }

    #[test]
    fn other_suites_are_told_apart_from_broken_proofs() {
        let cases = [
            ("type", json!("Ed25519Signature2020"), true),
            ("cryptosuite", json!("eddsa-rdfc-2022"), true),
            ("type", json!(null), false),
            ("cryptosuite", json!(["eddsa-jcs-2022"]), false),
            ("proofPurpose", json!("authentication"), false),
            (
                "verificationMethod",
                json!({"id": "https://a.example/#key"}),
                false,
            ),
            ("verificationMethod", json!(""), false),
            ("created", json!("yesterday"), false),
            ("created", json!(1), false),
        ];
        for (field, value, is_unsupported) in cases {
            let mut document = signed();
            document["proof"][field] = value;
            let error = info(&document).unwrap_err();
            assert_eq!(
                error == ProofError::Unsupported,
                is_unsupported,
                "{field}: {error}"
            );
            assert_eq!(check(&document), Err(error));
        }
    }

    #[test]
    fn a_missing_or_repeated_proof_is_refused() {
        let mut document = signed();
        let proof = document.remove("proof").unwrap();
        assert_eq!(check(&document), Err(ProofError::Missing));
        for proofs in [
            json!([proof, proof]),
            json!([]),
            json!([proof]),
            json!("z"),
            json!(null),
        ] {
            document.insert("proof".to_owned(), proofs);
            assert!(matches!(check(&document), Err(ProofError::Malformed(_))));
        }
    }

    #[test]
    fn a_value_that_is_no_signature_is_refused() {
        let long = "z".repeat(1 << 20);
        for value in ["", "z", "zabc", "uAAAA", "z0OIl", &long] {
            let mut document = signed();
            document["proof"]["proofValue"] = value.into();
            assert!(matches!(check(&document), Err(ProofError::Malformed(_))));
        }
    }

    #[test]
    fn a_proof_is_as_long_as_foretold() {
        let claims = Claims::new(Some(b"[]"), "https://a.example/#k\"y", Timestamp::UNIX_EPOCH);
        let signed = claims.clone().sign(b"{}", &key());
        assert!(
            claims.max_len() - signed.len() <= 3,
            "{} {}",
            claims.max_len(),
            signed.len()
        );
    }

    #[test]
    fn a_document_without_canonical_form_is_not_signed() {
        let document = json!({"n": u64::MAX});
        let refused = sign(document.as_object().unwrap(), "k", &key(), Timestamp::UNIX_EPOCH);
        assert!(matches!(refused, Err(ProofError::Malformed(_))));
    }
}
