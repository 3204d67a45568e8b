//! An HTTP request as its signature covers it.

use std::borrow::Cow;

use fedsx_kernel::{
    http_signature::rfc9421::{self, Candidate, SignatureError},
    key::VerifyingKey,
    origin::Origin,
};
use fedsx_runtime::code::{Code, Refusal};
use http::{HeaderMap, Method, Uri, request::Parts};

use crate::limit::Client;

/// The parts of a request that a signature may cover, and whom it comes from.
#[derive(Debug, Clone)]
pub(crate) struct SignedRequest {
    method: Method,
    target_uri: String,
    headers: HeaderMap,
    pub(crate) client: Client,
}

impl SignedRequest {
    /// Reads a request; its target derives from the configured origin.
    pub(crate) fn new(origin: &Origin, parts: Parts) -> Self {
        Self {
            target_uri: target_uri(origin, &parts.uri),
            client: Client::of(&parts.extensions),
            method: parts.method,
            headers: parts.headers,
        }
    }

    /// The value of a field, several lines joined (RFC 9421, section 2.1). What is no text counts as missing.
    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut lines = self
            .headers
            .get_all(name)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .map(str::trim);
        let first = lines.next()?;
        Some(lines.fold(Cow::Borrowed(first), |joined, line| joined + ", " + line))
    }

    /// Whether it claims to be signed at all.
    pub(crate) fn claims_signature(&self) -> bool {
        self.field("signature").is_some() || self.field("signature-input").is_some()
    }

    /// The signature, with what costs nothing checked; none where there is none. `now` in Unix seconds.
    ///
    /// # Errors
    /// [`Code::StaleDate`] and [`Code::UnusableSignature`].
    pub(crate) fn candidate(&self, now: i64, with_body: bool) -> Result<Option<Candidate>, Refusal> {
        let parsed = match (self.field("signature-input"), self.field("signature")) {
            (None, None) => return Ok(None),
            (Some(input), Some(signature)) => rfc9421::parse(&input, &signature),
            // draft-cavage has no Signature-Input; it is not verified here.
            (None, _) => Err(SignatureError::Malformed(
                "Signature-Input is missing (RFC 9421)".to_owned(),
            )),
            (_, None) => Err(SignatureError::Malformed("Signature is missing".to_owned())),
        };
        let candidate = parsed.map_err(refusal)?;
        candidate.precheck(now, with_body).map_err(refusal)?;
        if with_body && self.field("content-digest").is_none() {
            return Err(refusal(SignatureError::MissingComponent(
                "content-digest".to_owned(),
            )));
        }
        Ok(Some(candidate))
    }

    /// Verifies a signature with a key that was checked to be its actor's.
    ///
    /// # Errors
    /// [`Code::BadSignature`] and [`Code::UnusableSignature`].
    pub(crate) fn verify(&self, candidate: &Candidate, key: &VerifyingKey) -> Result<(), Refusal> {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .filter_map(|(name, line)| Some((name.as_str(), line.to_str().ok()?)))
            .collect();
        let request = rfc9421::Request {
            method: self.method.as_str(),
            target_uri: &self.target_uri,
            headers: &headers,
        };
        candidate.verify(&request, key).map_err(refusal)
    }
}

fn refusal(error: SignatureError) -> Refusal {
    let code = match error {
        SignatureError::Stale => Code::StaleDate,
        SignatureError::Bad => Code::BadSignature,
        _ => Code::UnusableSignature,
    };
    Refusal::new(code, format!("the HTTP signature: {error}"))
}

/// The target as our peers name it, whatever `Host` says.
fn target_uri(origin: &Origin, uri: &Uri) -> String {
    format!(
        "{origin}{}",
        uri.path_and_query().map_or("/", |target| target.as_str())
    )
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> SignedRequest {
        let builder = build(
            Request::builder()
                .method("POST")
                .uri("/inbox?a=b")
                .header("host", "evil.example"),
        );
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        SignedRequest::new(&"https://blog.example".parse().unwrap(), parts)
    }

    #[test]
    fn the_target_derives_from_the_configured_origin() {
        assert_eq!(
            request(|request| request).target_uri,
            "https://blog.example/inbox?a=b"
        );
    }

    #[test]
    fn several_lines_of_a_field_are_one_value() {
        let request = request(|request| request.header("X-A", " 1").header("x-a", "2 "));
        assert_eq!(request.field("x-a").as_deref(), Some("1, 2"));
    }

    #[test]
    fn half_a_signature_is_unusable() {
        for name in ["signature", "signature-input"] {
            let request = request(|request| request.header(name, "sig1=:AAAA:"));
            assert!(request.claims_signature());
            assert_eq!(
                request.candidate(0, true).unwrap_err().code,
                Code::UnusableSignature,
                "{name}"
            );
        }
    }

    #[test]
    fn no_signature_is_none() {
        let request = request(|request| request);
        assert!(!request.claims_signature());
        assert!(request.candidate(0, true).unwrap().is_none());
    }
}
