//! A received signature: parsed, checked for what costs nothing, then verified.

use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser};

use super::{MAX_LIFETIME_SECONDS, Request, SignatureError, WINDOW_SECONDS, base, malformed};
use crate::key::VerifyingKey;

/// Most signatures of one request that are looked at.
const MAX_SIGNATURES: usize = 4;
/// Most components that a signature may cover.
const MAX_COMPONENTS: usize = 32;
/// Longest header that is read. Bytes.
const MAX_HEADER: usize = 8 * 1024;

/// One signature of a request, parsed and not yet verified.
#[derive(Debug, Clone)]
pub struct Candidate {
    key_id: String,
    created: Option<i64>,
    expires: Option<i64>,
    is_ed25519: bool,
    /// The covered components and the parameters, in the order received.
    input: InnerList,
    signature: Vec<u8>,
}

impl Candidate {
    /// The key's id as claimed.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Checks what costs nothing: the components that must be covered (`content-digest` where `with_body`), the
    /// algorithm and the clock window. `now` in Unix seconds.
    ///
    /// `created` must be there and within [`WINDOW_SECONDS`] of now; `expires`, where present, must not be past, and
    /// must follow `created` by at most [`MAX_LIFETIME_SECONDS`].
    ///
    /// # Errors
    /// [`SignatureError`]
    pub fn precheck(&self, now: i64, with_body: bool) -> Result<(), SignatureError> {
        let covered = |name| {
            self.input
                .items
                .iter()
                .any(|item| base::plain_name(item) == Some(name))
        };
        for name in ["@method", "@target-uri"]
            .into_iter()
            .chain(with_body.then_some("content-digest"))
        {
            if !covered(name) {
                return Err(SignatureError::NotCovered(name));
            }
        }
        if !self.is_ed25519 {
            return Err(SignatureError::Unsupported);
        }
        let created = self.created.ok_or(SignatureError::Stale)?;
        let is_live =
            |expires: i64| expires >= now && (0..=MAX_LIFETIME_SECONDS).contains(&(expires - created));
        if now.abs_diff(created) > WINDOW_SECONDS.unsigned_abs() || !self.expires.is_none_or(is_live) {
            return Err(SignatureError::Stale);
        }
        Ok(())
    }

    /// Verifies the signature over the request.
    ///
    /// # Errors
    /// [`SignatureError`]
    pub fn verify(&self, request: &Request<'_>, key: &VerifyingKey) -> Result<(), SignatureError> {
        if !self.is_ed25519 {
            return Err(SignatureError::Unsupported);
        }
        let base = base::signature_base(request, &self.input, &base::serialize(&self.input))?;
        if key.verify(base.as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(SignatureError::Bad)
        }
    }
}

/// Parses `Signature-Input` and `Signature` to the first signature that has a key id; at most 4 are looked at.
///
/// # Errors
/// [`SignatureError::Malformed`]
pub fn parse(signature_input: &str, signature: &str) -> Result<Candidate, SignatureError> {
    let inputs = dictionary("Signature-Input", signature_input)?;
    let signatures = dictionary("Signature", signature)?;
    for (label, entry) in inputs.into_iter().take(MAX_SIGNATURES) {
        let ListEntry::InnerList(input) = entry else {
            return Err(malformed("a member of Signature-Input is not an inner list"));
        };
        if input.params.contains_key("keyid") {
            let Some(ListEntry::Item(item)) = signatures.get(&label) else {
                return Err(malformed(format!("Signature has no {:?}", label.as_str())));
            };
            let bytes = item.bare_item.as_byte_sequence();
            let signature = bytes
                .ok_or_else(|| malformed("the signature is not a byte sequence"))?
                .to_vec();
            return candidate(input, signature);
        }
    }
    Err(malformed("no signature has a key id"))
}

fn candidate(input: InnerList, signature: Vec<u8>) -> Result<Candidate, SignatureError> {
    if input.items.len() > MAX_COMPONENTS {
        return Err(malformed("too many components"));
    }
    let text = |name: &str| match input.params.get(name) {
        None => Ok(None),
        Some(BareItem::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(malformed(format!("`{name}` is not a string"))),
    };
    let time = |name: &str| match input.params.get(name) {
        None => Ok(None),
        Some(BareItem::Integer(seconds)) => Ok(Some(i64::from(*seconds))),
        Some(_) => Err(malformed(format!("`{name}` is not an integer"))),
    };
    Ok(Candidate {
        key_id: text("keyid")?.unwrap_or_default().to_owned(),
        created: time("created")?,
        expires: time("expires")?,
        is_ed25519: text("alg")?.is_none_or(|algorithm| algorithm == "ed25519"),
        input,
        signature,
    })
}

fn dictionary(header: &str, value: &str) -> Result<Dictionary, SignatureError> {
    if value.len() > MAX_HEADER {
        return Err(malformed(format!("{header} is longer than {MAX_HEADER} bytes")));
    }
    Parser::new(value)
        .parse()
        .map_err(|error| malformed(format!("{header}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    const NOW: i64 = 1_800_000_000;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[9; 32])
    }

    fn get() -> Request<'static> {
        Request {
            method: "GET",
            target_uri: "https://events.example/activities/x?a=b",
            headers: &[],
        }
    }

    /// Signs what the given input says, as a peer with other habits would.
    fn peers(request: &Request<'_>, input: &str) -> Result<Candidate, SignatureError> {
        let unsigned = parse(&format!("a={input}"), "a=:AAAA:")?;
        let input = &unsigned.input;
        let base = base::signature_base(request, input, &base::serialize(input))?;
        let signature = key().sign(base.as_bytes());
        Ok(Candidate {
            signature: signature.to_vec(),
            ..unsigned
        })
    }

    fn living(created: i64, expires: i64) -> Candidate {
        let input = format!(r#"("@method" "@target-uri");created={created};expires={expires};keyid="k""#);
        parse(&format!("a={input}"), "a=:AAAA:").unwrap()
    }

    #[test]
    fn the_clock_window_is_five_minutes_either_way() {
        let candidate = living(NOW, NOW + 3600);
        for (now, fresh) in [
            (NOW - 301, false),
            (NOW - 300, true),
            (NOW + 300, true),
            (NOW + 301, false),
        ] {
            assert_eq!(candidate.precheck(now, false).is_ok(), fresh, "{now}");
        }
        assert_eq!(candidate.precheck(i64::MIN, false), Err(SignatureError::Stale));
    }

    #[test]
    fn expires_ends_a_signature_and_bounds_its_life() {
        for (expires, now, live) in [
            (NOW + 10, NOW + 10, true),
            (NOW + 10, NOW + 11, false),
            (NOW - 1, NOW - 2, false),
            (NOW + 3600, NOW, true),
            (NOW + 3601, NOW, false),
        ] {
            let candidate = living(NOW, expires);
            assert_eq!(candidate.precheck(now, false).is_ok(), live, "{expires} {now}");
        }
    }

    #[test]
    fn what_must_be_covered_must_be_covered_plainly() {
        for (input, missing) in [
            (r#"("@target-uri");created=1;keyid="k""#, "@method"),
            (
                r#"("@method" "@path" "@authority");created=1;keyid="k""#,
                "@target-uri",
            ),
            (
                r#"("@method" "@target-uri");created=1;keyid="k""#,
                "content-digest",
            ),
            (
                r#"("@method" "@target-uri" "content-digest";req);created=1;keyid="k""#,
                "content-digest",
            ),
            (r#"();created=1;keyid="k""#, "@method"),
        ] {
            let candidate = parse(&format!("a={input}"), "a=:AAAA:").unwrap();
            assert_eq!(
                candidate.precheck(1, true),
                Err(SignatureError::NotCovered(missing)),
                "{input}"
            );
        }
    }

    #[test]
    fn created_is_required_and_the_algorithm_is_ours() {
        let checked = |parameters: &str| {
            let candidate = peers(&get(), &format!(r#"("@method" "@target-uri"){parameters}"#)).unwrap();
            candidate
                .precheck(NOW, false)
                .and_then(|()| candidate.verify(&get(), &key().verifying_key()))
        };
        assert_eq!(checked(r#";keyid="k""#), Err(SignatureError::Stale));
        assert_eq!(checked(r#";keyid="k";created=1800000000"#), Ok(()));
        assert_eq!(
            checked(r#";alg="ed25519";created=1800000000;keyid="k";nonce="n";tag="t""#),
            Ok(())
        );
        let rsa = checked(r#";alg="rsa-v1_5-sha256";created=1800000000;keyid="k""#);
        assert_eq!(rsa, Err(SignatureError::Unsupported));
    }

    #[test]
    fn an_algorithm_that_is_not_ours_never_verifies() {
        let rsa = peers(&get(), r#"("@method");alg="hmac-sha256";keyid="k""#).unwrap();
        assert_eq!(
            rsa.verify(&get(), &key().verifying_key()),
            Err(SignatureError::Unsupported)
        );
    }

    #[test]
    fn the_first_signature_with_a_key_id_is_taken_of_four() {
        let none = r#"("@method")"#;
        let ours = r#"("@method");keyid="k""#;
        let nth = |n: usize| {
            let inputs: Vec<String> = (0..=n)
                .map(|i| format!("s{i}={}", if i == n { ours } else { none }))
                .collect();
            parse(&inputs.join(", "), &format!("other=:AAAA:, s{n}=:AAAA:")).map(|found| found.key_id)
        };
        assert_eq!(nth(0), Ok("k".to_owned()));
        assert_eq!(nth(3), Ok("k".to_owned()));
        assert!(nth(4).is_err());
    }

    #[test]
    fn malformed_headers_are_refused() {
        let good = r#"a=("@method");keyid="k""#;
        let many = format!(r#"a=({});keyid="k""#, r#""x" "#.repeat(MAX_COMPONENTS + 1));
        let long = format!(r#"a=("@method");keyid="{}""#, "k".repeat(MAX_HEADER));
        for (input, signature) in [
            ("", "a=:AAAA:"),
            (good, ""),
            (good, "b=:AAAA:"),
            (good, "a=AAAA"),
            (good, "a=(:AAAA:)"),
            (good, "a=:AA"),
            (r#"a=("@method")"#, "a=:AAAA:"),
            (r#"a="@method";keyid="k""#, "a=:AAAA:"),
            (r#"a=("@method");keyid=k"#, "a=:AAAA:"),
            (r#"a=("@method");keyid="k";created="1""#, "a=:AAAA:"),
            (r#"a=("@method");keyid="k";expires=1.5"#, "a=:AAAA:"),
            (r#"a=("@method");keyid="k";alg=ed25519"#, "a=:AAAA:"),
            (r#"a=("@method";keyid="k""#, "a=:AAAA:"),
            (&many, "a=:AAAA:"),
            (&long, "a=:AAAA:"),
        ] {
            assert!(
                matches!(parse(input, signature), Err(SignatureError::Malformed(_))),
                "{input} {signature}"
            );
        }
    }
}
