//! Signing a request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sfv::{BareItem, InnerList, Key, KeyRef, StringRef};

use super::{Request, SignatureError, Signed, base, malformed};
use crate::key::SigningKey;

/// The label of our own signatures.
const LABEL: &str = "sig1";
/// Header fields that are covered where a request has them.
const COVERED: [&str; 2] = ["content-digest", "idempotency-key"];

/// Signs a request. `created` and `expires` in Unix seconds. Covers `@method`, `@target-uri` and, where the request's
/// headers have them, `content-digest` and `idempotency-key`.
///
/// # Errors
/// [`SignatureError`] where the key id cannot stand in a header.
pub fn sign(
    request: &Request<'_>,
    key_id: &str,
    key: &SigningKey,
    created: i64,
    expires: i64,
) -> Result<Signed, SignatureError> {
    let mut covered = vec!["@method", "@target-uri"];
    covered.extend(
        request
            .headers
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| COVERED.contains(name)),
    );
    let items = covered
        .into_iter()
        .map(|name| Ok(string(name)?.into()))
        .collect::<Result<_, SignatureError>>()?;
    let mut input = InnerList::new(items);
    input.params.insert(name("created")?, seconds(created)?);
    input.params.insert(name("expires")?, seconds(expires)?);
    input.params.insert(name("keyid")?, string(key_id)?);
    let params = base::serialize(&input);
    let signature = key.sign(base::signature_base(request, &input, &params)?.as_bytes());
    Ok(Signed {
        signature_input: format!("{LABEL}={params}"),
        signature: format!("{LABEL}=:{}:", STANDARD.encode(signature)),
    })
}

fn string(text: &str) -> Result<BareItem, SignatureError> {
    StringRef::from_str(text)
        .map(BareItem::from)
        .map_err(|error| malformed(format!("{text:?}: {error}")))
}

fn seconds(seconds: i64) -> Result<BareItem, SignatureError> {
    let seconds = sfv::Integer::try_from(seconds).map_err(|_| malformed(format!("{seconds} is no time")))?;
    Ok(BareItem::Integer(seconds))
}

fn name(name: &str) -> Result<Key, SignatureError> {
    KeyRef::from_str(name)
        .map(ToOwned::to_owned)
        .map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_signature::{
        digest,
        rfc9421::{Candidate, parse},
    };

    const NOW: i64 = 1_800_000_000;
    const KEY_ID: &str = "https://blog.example/actors/alice#ed25519-key";

    fn key() -> SigningKey {
        SigningKey::from_seed(&[9; 32])
    }

    fn post<'a>(headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
        Request {
            method: "POST",
            target_uri: "https://events.example/inbox",
            headers,
        }
    }

    fn get() -> Request<'static> {
        Request {
            method: "GET",
            target_uri: "https://events.example/activities/x?a=b",
            headers: &[],
        }
    }

    fn candidate_of(signed: &Signed) -> Candidate {
        parse(&signed.signature_input, &signed.signature).unwrap()
    }

    #[test]
    fn a_signed_request_is_accepted() {
        let digest = digest::of(b"body");
        let headers = [("host", "events.example"), ("content-digest", digest.as_str())];
        let signed = sign(&post(&headers), KEY_ID, &key(), NOW, NOW + 60).unwrap();
        let expected =
            r#"sig1=("@method" "@target-uri" "content-digest");created=1800000000;expires=1800000060;keyid="#;
        assert_eq!(signed.signature_input, format!("{expected}\"{KEY_ID}\""));
        let candidate = candidate_of(&signed);
        assert_eq!(candidate.key_id(), KEY_ID);
        candidate.precheck(NOW + 5, true).unwrap();
        candidate.verify(&post(&headers), &key().verifying_key()).unwrap();
    }

    #[test]
    fn an_idempotency_key_is_covered() {
        let mut headers = [("content-digest", "sha-256=:AAAA:"), ("idempotency-key", "\"a\"")];
        let candidate = candidate_of(&sign(&post(&headers), KEY_ID, &key(), NOW, NOW + 60).unwrap());
        let public = key().verifying_key();
        candidate.verify(&post(&headers), &public).unwrap();
        headers[1].1 = "\"b\"";
        assert_eq!(
            candidate.verify(&post(&headers), &public),
            Err(SignatureError::Bad)
        );
    }

    #[test]
    fn a_request_without_body_needs_no_digest() {
        let candidate = candidate_of(&sign(&get(), KEY_ID, &key(), NOW, NOW + 60).unwrap());
        candidate.precheck(NOW, false).unwrap();
        candidate.verify(&get(), &key().verifying_key()).unwrap();
        assert_eq!(
            candidate.precheck(NOW, true),
            Err(SignatureError::NotCovered("content-digest"))
        );
    }

    #[test]
    fn another_request_or_key_is_refused() {
        let headers = [("content-digest", "sha-256=:AAAA:")];
        let candidate = candidate_of(&sign(&post(&headers), KEY_ID, &key(), NOW, NOW + 60).unwrap());
        let public = key().verifying_key();
        let others = [
            Request {
                method: "PUT",
                ..post(&headers)
            },
            Request {
                target_uri: "https://events.example/actors/bob/inbox",
                ..post(&headers)
            },
            Request {
                target_uri: "https://third.example/inbox",
                ..post(&headers)
            },
            post(&[("content-digest", "sha-256=:AAAB:")]),
            post(&[
                ("content-digest", "sha-256=:AAAA:"),
                ("content-digest", "sha-256=:AAAA:"),
            ]),
        ];
        for request in others {
            assert_eq!(
                candidate.verify(&request, &public),
                Err(SignatureError::Bad),
                "{request:?}"
            );
        }
        let missing = candidate.verify(&post(&[]), &public);
        assert_eq!(
            missing,
            Err(SignatureError::MissingComponent("content-digest".to_owned()))
        );
        let other = SigningKey::from_seed(&[8; 32]).verifying_key();
        assert_eq!(
            candidate.verify(&post(&headers), &other),
            Err(SignatureError::Bad)
        );
    }

    #[test]
    fn a_key_id_that_cannot_stand_in_a_header_is_not_signed_with() {
        for key_id in ["https://bücher.example/", "a\nb"] {
            assert!(matches!(
                sign(&get(), key_id, &key(), NOW, NOW),
                Err(SignatureError::Malformed(_))
            ));
        }
        assert!(matches!(
            sign(&get(), "k", &key(), i64::MAX, NOW),
            Err(SignatureError::Malformed(_))
        ));
    }
}
