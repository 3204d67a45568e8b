//! The one closed set of error codes: the `code` of a problem document, the label of a metric, the detail of a gRPC
//! status. A new code is added here and nowhere else.

use http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $http:ident, $grpc:ident;)*) => {
        /// A stable error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as peers and dashboards see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The HTTP status it is answered with.
            #[must_use]
            pub const fn http(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$http),* }
            }

            /// The gRPC status it is answered with.
            #[must_use]
            pub const fn grpc(self) -> tonic::Code {
                match self { $(Self::$name => tonic::Code::$grpc),* }
            }
        }
    };
}

codes! {
    /// The request or document is not what the protocol describes.
    Malformed = "malformed", BAD_REQUEST, InvalidArgument;
    /// An activity's id names another CID than the document's.
    CidMismatch = "cid_mismatch", BAD_REQUEST, InvalidArgument;
    /// `Content-Digest` does not match the body.
    DigestMismatch = "digest_mismatch", BAD_REQUEST, InvalidArgument;
    /// Neither an HTTP signature nor a proof.
    MissingSignature = "missing_signature", UNAUTHORIZED, Unauthenticated;
    /// The signature's key is not one that its actor publishes.
    UnknownKey = "unknown_key", UNAUTHORIZED, Unauthenticated;
    /// The signature was made too long ago, or in the future.
    StaleDate = "stale_date", UNAUTHORIZED, Unauthenticated;
    /// A signature that cannot be used: malformed, covering too little, or of an unknown algorithm.
    UnusableSignature = "unusable_signature", UNAUTHORIZED, Unauthenticated;
    /// A signature that does not hold.
    BadSignature = "bad_signature", FORBIDDEN, PermissionDenied;
    /// A sound signature of somebody else than the activity's actor.
    NotTheActor = "not_the_actor", FORBIDDEN, PermissionDenied;
    /// The sender's domain is blocked here.
    Blocked = "blocked", FORBIDDEN, PermissionDenied;
    /// The activity addresses nobody here, and nobody here follows its actor.
    NotAddressed = "not_addressed", FORBIDDEN, PermissionDenied;
    /// The caller's role may not do this.
    Forbidden = "forbidden", FORBIDDEN, PermissionDenied;
    /// A missing or unknown token.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, Unauthenticated;
    /// There is no such thing here.
    NotFound = "not_found", NOT_FOUND, NotFound;
    /// The HTTP method does not fit the resource.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, Unimplemented;
    /// The name is taken.
    AlreadyExists = "already_exists", CONFLICT, AlreadyExists;
    /// The body is larger than is read.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, OutOfRange;
    /// The bytes that are asked for lie beyond the end.
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE, OutOfRange;
    /// The media type is not one that is read here.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, InvalidArgument;
    /// The body took too long to arrive.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, DeadlineExceeded;
    /// A type that nobody could show.
    TypeUnknown = "type_unknown", UNPROCESSABLE_ENTITY, FailedPrecondition;
    /// A type that is not here, where types are not fetched.
    TypeFetchDisabled = "type_fetch_disabled", UNPROCESSABLE_ENTITY, FailedPrecondition;
    /// The object does not fit its type.
    SchemaRefused = "schema_refused", UNPROCESSABLE_ENTITY, FailedPrecondition;
    /// More edges follow from a projection's rules than are kept.
    RelationsTooLarge = "relations_too_large", UNPROCESSABLE_ENTITY, FailedPrecondition;
    /// The flow is not at what was asked of it.
    FlowState = "flow_state", CONFLICT, FailedPrecondition;
    /// Too many requests; `Retry-After` says when.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, ResourceExhausted;
    /// The origin has used up what is stored for domains that nobody here follows. Waiting does not change it.
    QuotaExceeded = "quota_exceeded", FORBIDDEN, PermissionDenied;
    /// A key or a type could not be fetched just now.
    FetchFailed = "fetch_failed", SERVICE_UNAVAILABLE, Unavailable;
    /// Another service of this domain is away.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, Unavailable;
    /// What is stored is not what was put there: its bytes do not hash to its name.
    Damaged = "damaged", INTERNAL_SERVER_ERROR, DataLoss;
    /// The domain has no place for blobs.
    NoBlobStore = "no_blob_store", NOT_IMPLEMENTED, Unimplemented;
    /// A fault of ours.
    Internal = "internal", INTERNAL_SERVER_ERROR, Internal;
}

impl Code {
    /// The code with this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A code with the sentence that goes with it. The sentence is shown to whoever asked: it names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    pub code: Code,
    pub detail: String,
}

impl Refusal {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

/// The gRPC metadata key that carries [`Code::as_str`].
const METADATA: &str = "fedsx-code";

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        let mut status = Self::new(refusal.code.grpc(), refusal.detail);
        status.metadata_mut().insert(
            METADATA,
            tonic::metadata::MetadataValue::from_static(refusal.code.as_str()),
        );
        status
    }
}

impl From<tonic::Status> for Refusal {
    /// What another service answered; one that cannot be reached is [`Code::Unavailable`].
    fn from(status: tonic::Status) -> Self {
        let named = status
            .metadata()
            .get(METADATA)
            .and_then(|value| value.to_str().ok())
            .and_then(Code::parse);
        let code = named.unwrap_or(match status.code() {
            tonic::Code::NotFound => Code::NotFound,
            // Not the service's word: the connection failed, which tonic calls internal as well.
            tonic::Code::Internal if std::error::Error::source(&status).is_some() => Code::Unavailable,
            tonic::Code::Internal | tonic::Code::DataLoss => Code::Internal,
            tonic::Code::InvalidArgument => Code::Malformed,
            tonic::Code::Unauthenticated => Code::Unauthenticated,
            tonic::Code::PermissionDenied => Code::Forbidden,
            tonic::Code::Unimplemented => Code::MethodNotAllowed,
            _ => Code::Unavailable,
        });
        Self::new(code, status.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_failed_is_no_fault_of_the_service() {
        let internal = || tonic::Status::internal("h2 protocol error");
        assert_eq!(Refusal::from(internal()).code, Code::Internal);
        let mut failed = internal();
        failed.set_source(std::sync::Arc::new(std::io::Error::other("gone away")));
        assert_eq!(Refusal::from(failed).code, Code::Unavailable);
    }

    #[test]
    fn every_code_survives_a_grpc_call() {
        for code in Code::ALL {
            let refusal = Refusal::new(*code, "why");
            assert_eq!(Refusal::from(tonic::Status::from(refusal.clone())), refusal);
        }
    }

    #[test]
    fn codes_are_distinct() {
        let mut texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
    }
}
