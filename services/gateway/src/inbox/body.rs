//! Reading what was posted: media type, size, digest, JSON, envelope.

use axum::body::HttpBody as _;
use bytes::{Bytes, BytesMut};
use fedsx_kernel::{
    activity::{Activity, ActivityError},
    http_signature::digest,
    json::{self, JsonError, MAX_BYTES},
    proof,
};
use fedsx_runtime::code::{Code, Refusal};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::{Received, beside, budget::Share};
use crate::{
    App, limit::Client, media::is_activity_streams, problem::Problem, signed_request::SignedRequest,
};

/// Most that is read of a refused body, and thrown away. Bytes.
const MAX_DISCARDED: usize = 8 << 20;

/// Most that is set aside for a body before it arrives. Bytes.
const FIRST: usize = 16 << 10;

/// A body with its share of what bodies under way may hold.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Bytes,
    share: Share,
}

/// Only ActivityPub's media types are read; parameters are tolerated.
pub(super) fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if content_type.is_some_and(is_activity_streams) {
        return Ok(());
    }
    let detail = "an inbox reads application/activity+json and application/ld+json";
    Err(Refusal::new(Code::UnsupportedMediaType, detail))
}

/// Reads a body, bounded in size and time, and together with the others under way in the memory that it takes once it is
/// parsed.
pub(super) async fn read(app: &App, client: Client, mut body: axum::body::Body) -> Result<Body, Problem> {
    if body.size_hint().lower() > MAX_BYTES as u64 {
        discard(app, body).await;
        return Err(too_large().into());
    }
    let timeout = app.settings.body_timeout;
    let Ok(collected) = tokio::time::timeout(timeout, collect(app.bodies.share(client.0), &mut body)).await
    else {
        let detail = format!("the body did not arrive within {} s", timeout.as_secs());
        return Err(Problem::new(Code::RequestTimeout, detail));
    };
    if collected
        .as_ref()
        .is_err_and(|refusal| refusal.code == Code::TooLarge)
    {
        discard(app, body).await;
    }
    collected.map_err(Problem::from)
}

/// Reads on past a refusal for a while: a connection that is closed before its client has sent everything is reset, and
/// the client never sees why.
pub(super) async fn discard(app: &App, mut body: axum::body::Body) {
    let mut left = MAX_DISCARDED;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(app.settings.body_timeout, reading).await;
}

async fn collect(mut share: Share, body: &mut axum::body::Body) -> Result<Body, Refusal> {
    let mut bytes = BytesMut::new();
    // Set aside at once, as far as the length that is announced is one that will be read.
    bytes.reserve(usize::try_from(body.size_hint().lower()).map_or(0, |size| size.min(FIRST)));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::new(Code::Malformed, "the body broke off"))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(too_large());
        }
        share.grow(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    share.grow(json::footprint(&bytes).saturating_sub(bytes.len()))?;
    Ok(Body {
        bytes: bytes.freeze(),
        share,
    })
}

fn too_large() -> Refusal {
    Refusal::new(
        Code::TooLarge,
        format!("an activity has at most {MAX_BYTES} bytes"),
    )
}

/// Makes an activity of a body.
pub(super) async fn open(
    request: SignedRequest,
    Body { bytes, share }: Body,
    inbox: Option<String>,
) -> Result<Received, Refusal> {
    beside(bytes.len(), move || {
        let activity = parse(&request, &bytes)?;
        Ok(Received {
            request,
            body: bytes,
            _share: share,
            origin: activity.origin().clone(),
            activity,
            inbox,
        })
    })
    .await?
}

/// Digest, JSON, the presence of a signature, envelope; in this order, so that an unsigned document costs no CID.
fn parse(request: &SignedRequest, body: &[u8]) -> Result<Activity, Refusal> {
    if let Some(header) = request.field("content-digest") {
        digest::check(&header, body)
            .map_err(|error| Refusal::new(Code::DigestMismatch, error.to_string()))?;
    }
    let document = match json::parse(body).map_err(|error| refusal(error.into()))? {
        Value::Object(document) => document,
        _ => return Err(Refusal::new(Code::Malformed, "an activity is a JSON object")),
    };
    if !request.claims_signature() && !proof::is_present(&document) {
        let detail = "an activity needs an HTTP signature (RFC 9421) or a proof (FEP-8b32)";
        return Err(Refusal::new(Code::MissingSignature, detail));
    }
    Activity::from_document(document).map_err(refusal)
}

fn refusal(error: ActivityError) -> Refusal {
    let code = match error {
        ActivityError::CidMismatch { .. } => Code::CidMismatch,
        ActivityError::Json(JsonError::TooLarge(_) | JsonError::TooManyValues) => Code::TooLarge,
        _ => Code::Malformed,
    };
    Refusal::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn media_type(text: &str) -> Result<(), Code> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(text).unwrap())]);
        check_media_type(&headers).map_err(|refusal| refusal.code)
    }

    fn parsed(headers: &[(&str, &str)], body: &[u8]) -> Result<Activity, Code> {
        let mut request = http::Request::builder().uri("/inbox");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let request = SignedRequest::new(&"https://events.example".parse().unwrap(), parts);
        parse(&request, body).map_err(|refusal| refusal.code)
    }

    #[test]
    fn the_media_types_of_activitypub_are_read_whatever_their_parameters() {
        for text in [
            "application/activity+json",
            "Application/Activity+JSON; charset=utf-8",
            r#"application/ld+json; profile="https://www.w3.org/ns/activitystreams""#,
        ] {
            assert_eq!(media_type(text), Ok(()), "{text}");
        }
        for text in [
            "application/json",
            "text/plain",
            "application/activity+json2",
            "",
            ";",
        ] {
            assert_eq!(media_type(text), Err(Code::UnsupportedMediaType), "{text}");
        }
        assert!(check_media_type(&HeaderMap::new()).is_err());
    }

    #[test]
    fn what_is_wrong_first_is_told_first() {
        let signed = [("signature", "sig1=:AAAA:")];
        assert_eq!(parsed(&[], b"{}").unwrap_err(), Code::MissingSignature);
        assert_eq!(parsed(&[], b"{").unwrap_err(), Code::Malformed);
        assert_eq!(parsed(&signed, b"{}").unwrap_err(), Code::Malformed);
        assert_eq!(parsed(&signed, b"[]").unwrap_err(), Code::Malformed);
        assert_eq!(parsed(&signed, br#"{"a":1,"a":2}"#).unwrap_err(), Code::Malformed);
        let wrong = digest::of(b"other");
        assert_eq!(
            parsed(&[("content-digest", &wrong)], b"{}").unwrap_err(),
            Code::DigestMismatch
        );
        assert_eq!(
            parsed(&[("content-digest", "nonsense")], b"{}").unwrap_err(),
            Code::DigestMismatch
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..256), sign in any::<bool>()) {
            let headers: &[(&str, &str)] = if sign { &[("signature", "x")] } else { &[] };
            prop_assert!(parsed(headers, &body).is_err());
        }
    }
}
