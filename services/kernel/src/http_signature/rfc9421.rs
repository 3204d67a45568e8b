//! HTTP Message Signatures (RFC 9421) with Ed25519, as fed-sx domains speak it: over `@method`, `@target-uri` and, with
//! a body, `content-digest`, and `idempotency-key` where there is one; `created` and `expires` set.

mod base;
mod candidate;
mod sign;

pub use candidate::{Candidate, parse};
pub use sign::sign;

/// How far `created` may lie from now, either way, and so how long a signature may live. Seconds.
pub const WINDOW_SECONDS: i64 = 300;
/// How far `expires` may lie from `created`; a longer life is nonsense, since [`WINDOW_SECONDS`] ends it anyway. Seconds.
pub const MAX_LIFETIME_SECONDS: i64 = 3600;

/// The parts of a request that a signature may cover. `target_uri` derives from the configured public origin, never
/// from `Host`.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// As on the request line: `POST`.
    pub method: &'a str,
    /// Absolute, with the query.
    pub target_uri: &'a str,
    /// Name in lower case and value of each header field that may be covered, `content-digest` among them.
    pub headers: &'a [(&'a str, &'a str)],
}

/// The two header values that sign a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The value of `Signature-Input`.
    pub signature_input: String,
    /// The value of `Signature`.
    pub signature: String,
}

/// Why a signature is unusable or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("malformed: {0}")]
    Malformed(String),
    #[error("it does not cover {0}")]
    NotCovered(&'static str),
    #[error("it covers {0:?}, which the request does not have")]
    MissingComponent(String),
    #[error("its algorithm is not ed25519")]
    Unsupported,
    #[error("created or expires is outside the window of {WINDOW_SECONDS} seconds")]
    Stale,
    #[error("it does not match the request")]
    Bad,
}

fn malformed(problem: impl Into<String>) -> SignatureError {
    SignatureError::Malformed(problem.into())
}
