//! `Content-Digest` (RFC 9530), sha-256.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sfv::{Dictionary, ListEntry, Parser};
use sha2::{Digest, Sha256};

/// Longest header that is read. Bytes.
const MAX_HEADER: usize = 1024;

/// The header does not vouch for the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("Content-Digest is not a dictionary with a sha-256 member")]
    Malformed,
    #[error("Content-Digest does not match the body")]
    Mismatch,
}

/// The header's value for a body: `sha-256=:…:`.
#[must_use]
pub fn of(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// Checks a received header against the body. Members of other algorithms are ignored.
///
/// # Errors
/// [`DigestError`]
pub fn check(header: &str, body: &[u8]) -> Result<(), DigestError> {
    if header.len() > MAX_HEADER {
        return Err(DigestError::Malformed);
    }
    let members: Dictionary = Parser::new(header).parse().map_err(|_| DigestError::Malformed)?;
    let digest = match members.get("sha-256") {
        Some(ListEntry::Item(item)) => item.bare_item.as_byte_sequence().ok_or(DigestError::Malformed)?,
        _ => return Err(DigestError::Malformed),
    };
    if digest == Sha256::digest(body).as_slice() {
        Ok(())
    } else {
        Err(DigestError::Mismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_digest_of_rfc_9530() {
        // RFC 9530, appendix D: the digest of {"hello": "world"} and a line feed.
        let body = b"{\"hello\": \"world\"}\n";
        assert_eq!(of(body), "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
        assert_eq!(check(&of(body), body), Ok(()));
    }

    #[test]
    fn other_algorithms_beside_it_are_ignored() {
        let header = format!("sha-512=:AAAA:, {}, md5=?1", of(b"body"));
        assert_eq!(check(&header, b"body"), Ok(()));
    }

    #[test]
    fn another_body_is_refused() {
        assert_eq!(check(&of(b"body"), b"Body"), Err(DigestError::Mismatch));
        assert_eq!(check("sha-256=:AAAA:", b"body"), Err(DigestError::Mismatch));
        assert_eq!(check("sha-256=::", b""), Err(DigestError::Mismatch));
    }

    #[test]
    fn a_header_that_vouches_for_nothing_is_refused() {
        let long = format!("{}, a={}", of(b""), "1".repeat(MAX_HEADER));
        let hex = "sha-256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for header in [
            "",
            "sha-256",
            "sha-512=:AAAA:",
            "sha-256=(:AAAA:)",
            "sha-256=\"AAAA\"",
            "SHA-256=AAAA",
            hex,
            &long,
        ] {
            assert_eq!(check(header, b""), Err(DigestError::Malformed), "{header}");
        }
    }
}
