//! One signed POST: of one activity to one inbox, or of a webhook.

use std::time::Duration;

use fedsx_kernel::{
    delivery::{
        claim::POST_TIMEOUT,
        outcome::{Answer, Outcome, classify, retry_after},
    },
    http_signature::rfc9421,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    fetch::{self, FetchError, Fetcher},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use url::Url;

use crate::{bodies::Body, keys::ActorKey};

/// How the body is announced (ActivityPub, section 7).
const CONTENT_TYPE: &str = "application/activity+json";
/// And that of a webhook.
const JSON: &str = "application/json";
/// By what a receiver knows a webhook that it had before (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How long a signature is good for. Seconds.
const LIFETIME: i64 = 300;
/// Longest cause that is kept. Characters.
const MAX_CAUSE: usize = 200;

/// What a request to a peer brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Brought {
    pub(crate) outcome: Outcome,
    /// 0: none.
    pub(crate) status: u16,
    /// One line; empty where the peer took it.
    pub(crate) cause: String,
}

impl Brought {
    /// The peer cannot be sent to, whenever it is tried.
    pub(crate) fn refused(cause: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Refused,
            status: 0,
            cause: line(&cause.into()),
        }
    }

    fn status(status: u16, retry: Option<&str>, cause: String, now: Timestamp) -> Self {
        let retry_after = retry.and_then(|header| retry_after(header, now));
        let outcome = classify(Answer::Status { status, retry_after });
        Self {
            outcome,
            status,
            cause,
        }
    }
}

/// Posts an activity or a webhook. `now` is when it is signed.
///
/// # Errors
/// [`Code::Internal`] where the request cannot be made; nothing was sent then.
pub(crate) async fn post(
    fetcher: &Fetcher,
    inbox: &str,
    body: &Body,
    key: &ActorKey,
    traceparent: Option<&str>,
    now: Timestamp,
) -> Result<Brought, Refusal> {
    // What is signed is what is sent: the URL in its normal form, and no fragment.
    let Ok(mut target) = Url::parse(inbox) else {
        return Ok(Brought::refused(format!("{inbox:?} is no URL")));
    };
    target.set_fragment(None);
    let headers = headers(target.as_str(), body, key, traceparent, now)?;
    let limit = Duration::try_from(POST_TIMEOUT).unwrap_or(fetch::TIMEOUT);
    let sent = fetcher.post(target.as_str(), headers, body.bytes.clone());
    let Ok(answer) = tokio::time::timeout(limit, sent).await else {
        return Ok(failed(
            &FetchError::Unreachable("no answer in time".to_owned()),
            now,
        ));
    };
    Ok(match answer {
        Ok(answer) => {
            let cause = if (200..300).contains(&answer.status) {
                String::new()
            } else {
                told(answer.status, &answer.body)
            };
            Brought::status(answer.status, answer.retry_after.as_deref(), cause, now)
        }
        Err(error) => failed(&error, now),
    })
}

/// What a request without a usable answer means.
pub(crate) fn failed(error: &FetchError, now: Timestamp) -> Brought {
    let cause = line(&error.to_string());
    match error {
        FetchError::Status(status) => Brought::status(*status, None, told(*status, &[]), now),
        FetchError::Unreachable(_) => Brought {
            outcome: classify(Answer::Nothing),
            status: 0,
            cause,
        },
        FetchError::Forbidden(_) | FetchError::TooLarge(_) | FetchError::Redirects => Brought::refused(cause),
    }
}

fn headers(
    target: &str,
    body: &Body,
    key: &ActorKey,
    traceparent: Option<&str>,
    now: Timestamp,
) -> Result<HeaderMap, Refusal> {
    let key_of = body.webhook.as_ref().map(|webhook| webhook.key.as_str());
    let mut covered = vec![("content-digest", body.digest.as_str())];
    covered.extend(key_of.map(|key| (IDEMPOTENCY_KEY, key)));
    let request = rfc9421::Request {
        method: "POST",
        target_uri: target,
        headers: &covered,
    };
    let created = now.as_second();
    let signed = rfc9421::sign(&request, &key.id, &key.key, created, created + LIFETIME)
        .map_err(|error| Refusal::new(Code::Internal, format!("signing as {}: {error}", key.id)))?;
    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, value: &str| -> Result<(), Refusal> {
        let value = HeaderValue::from_str(value)
            .map_err(|error| Refusal::new(Code::Internal, format!("{name}: {error}")))?;
        headers.insert(name, value);
        Ok(())
    };
    put(
        header::CONTENT_TYPE,
        if key_of.is_some() { JSON } else { CONTENT_TYPE },
    )?;
    if let Some(key) = key_of {
        put(HeaderName::from_static(IDEMPOTENCY_KEY), key)?;
    }
    put(HeaderName::from_static("content-digest"), &body.digest)?;
    put(
        HeaderName::from_static("signature-input"),
        &signed.signature_input,
    )?;
    put(HeaderName::from_static("signature"), &signed.signature)?;
    if let Some(traceparent) = traceparent {
        put(HeaderName::from_static("traceparent"), traceparent)?;
    }
    Ok(headers)
}

/// What a peer said, in one line: its status and, of an RFC 9457 problem, its code and detail.
fn told(status: u16, body: &[u8]) -> String {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |name: &str| problem.get(name).and_then(serde_json::Value::as_str);
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let what = member("code").or(reason).unwrap_or("no reason");
    match member("detail").or(member("title")) {
        Some(detail) => line(&format!("{status} {what}: {detail}")),
        None => line(&format!("{status} {what}")),
    }
}

/// A stranger's text in one line, and not too long.
fn line(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(MAX_CAUSE)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_in_one_line() {
        let body = br#"{"code":"not_addressed","detail":"nobody here\nfollows alice"}"#;
        assert_eq!(told(403, body), "403 not_addressed: nobody here follows alice");
        assert_eq!(told(403, b"<html>"), "403 Forbidden");
        assert_eq!(told(799, b""), "799 no reason");
        assert_eq!(line(&"x".repeat(1000)).len(), MAX_CAUSE);
    }

    #[test]
    fn what_the_guard_forbids_is_refused_and_silence_is_the_origins_failure() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(failed(&FetchError::Redirects, now).outcome, Outcome::Refused);
        assert_eq!(
            failed(&FetchError::Unreachable("gone".to_owned()), now).outcome,
            Outcome::OriginFailed
        );
        assert_eq!(failed(&FetchError::Status(410), now).outcome, Outcome::Gone);
        assert_eq!(
            failed(&FetchError::Status(503), now).outcome,
            Outcome::OriginFailed
        );
    }
}
