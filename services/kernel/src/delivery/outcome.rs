//! What an attempt brought, and whose fault it is.

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

/// Longest hold that a 429 may ask for.
pub const MAX_THROTTLE: SignedDuration = SignedDuration::from_hours(1);
/// Hold after a 429 without `Retry-After`.
pub const DEFAULT_THROTTLE: SignedDuration = SignedDuration::from_secs(60);

/// What came back for a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP status, and how long `Retry-After` asks to wait, see [`retry_after`].
    Status {
        status: u16,
        retry_after: Option<SignedDuration>,
    },
    /// No connection, no valid TLS, time-out, or an answer that is no HTTP.
    Nothing,
}

/// What an attempt means for its delivery, its lane and its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The peer has it.
    Delivered,
    /// The peer will never take it; the lane goes on.
    Refused,
    /// 410: refused, and the follows that this inbox served end by an entry in `domain` (see
    /// [`follow::gone`](crate::follow::gone), with `through` 0).
    Gone,
    /// Tried again on the delivery's own ladder; the lane waits.
    Retry,
    /// The origin wants to be left alone for so long. Counts for nobody.
    Throttled(SignedDuration),
    /// The origin did not answer. Holds the origin, counts for no delivery; but see [`attribute`].
    OriginFailed,
}

/// What an answer means.
///
/// Beyond the statuses that the design names: any 2xx is delivered; 1xx and 3xx are refused (an inbox does not move by
/// redirect, and a signed POST is not repeated elsewhere), and so is every other 4xx; every other 5xx climbs the ladder.
#[must_use]
pub fn classify(answer: Answer) -> Outcome {
    let Answer::Status { status, retry_after } = answer else {
        return Outcome::OriginFailed;
    };
    match status {
        200..=299 => Outcome::Delivered,
        401 | 408 | 425 => Outcome::Retry,
        410 => Outcome::Gone,
        429 => {
            let hold = retry_after.unwrap_or(DEFAULT_THROTTLE);
            Outcome::Throttled(hold.clamp(SignedDuration::from_secs(1), MAX_THROTTLE))
        }
        502..=504 => Outcome::OriginFailed,
        500.. => Outcome::Retry,
        _ => Outcome::Refused,
    }
}

/// Whose failure it is when the origin seems to have failed: the delivery's, if the origin is well otherwise. So one
/// poison activity never parks a healthy peer.
///
/// `failed_at` is when the attempt failed, `alive_at` when the origin last answered anything
/// ([`Peer::alive_at`](super::peer::Peer::alive_at), read after the attempt), `actor` what a GET of the addressee's actor
/// brought after the failure, or of the server itself, where one was made. Other outcomes stay what they are.
#[must_use]
pub fn attribute(
    outcome: Outcome,
    failed_at: Timestamp,
    alive_at: Option<Timestamp>,
    actor: Option<Answer>,
) -> Outcome {
    let answered_since = alive_at.is_some_and(|alive_at| alive_at > failed_at);
    let actor_answers = actor.is_some_and(|answer| classify(answer) != Outcome::OriginFailed);
    match outcome {
        Outcome::OriginFailed if answered_since || actor_answers => Outcome::Retry,
        other => other,
    }
}

/// How long a `Retry-After` header asks to wait: seconds or an HTTP date (RFC 9110, section 10.2.3); a date in the past
/// is zero, nonsense is none.
#[must_use]
pub fn retry_after(header: &str, now: Timestamp) -> Option<SignedDuration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let date = rfc2822::parse(header).ok()?.timestamp();
    Some(date.duration_since(now).max(SignedDuration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn status(status: u16) -> Answer {
        Answer::Status {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn statuses_mean() {
        let table: [(Outcome, &[u16]); 5] = [
            (Outcome::Delivered, &[200, 201, 202, 204, 299]),
            (
                Outcome::Refused,
                &[
                    0, 100, 301, 302, 307, 308, 400, 402, 403, 404, 405, 406, 409, 413, 415, 418, 422, 426,
                    451, 499,
                ],
            ),
            (
                Outcome::Retry,
                &[401, 408, 425, 500, 501, 505, 507, 520, 599, 999],
            ),
            (Outcome::OriginFailed, &[502, 503, 504]),
            (Outcome::Gone, &[410]),
        ];
        for (outcome, statuses) in table {
            for &code in statuses {
                assert_eq!(classify(status(code)), outcome, "{code}");
            }
        }
        assert_eq!(classify(Answer::Nothing), Outcome::OriginFailed);
    }

    #[test]
    fn a_429_holds_for_what_it_asks_within_bounds() {
        let table = [
            (None, 60),
            (Some(0), 1),
            (Some(7), 7),
            (Some(3600), 3600),
            (Some(86_400), 3600),
            (Some(-5), 1),
        ];
        for (asked, held) in table {
            let answer = Answer::Status {
                status: 429,
                retry_after: asked.map(SignedDuration::from_secs),
            };
            assert_eq!(
                classify(answer),
                Outcome::Throttled(SignedDuration::from_secs(held)),
                "{asked:?}"
            );
        }
    }

    #[test]
    fn a_failure_is_the_deliverys_where_the_origin_is_well_otherwise() {
        let (before, after) = (
            AT - SignedDuration::from_secs(1),
            AT + SignedDuration::from_secs(1),
        );
        let table = [
            (None, None, Outcome::OriginFailed),
            (Some(before), None, Outcome::OriginFailed),
            (Some(AT), None, Outcome::OriginFailed),
            (Some(after), None, Outcome::Retry),
            (None, Some(status(200)), Outcome::Retry),
            (None, Some(status(404)), Outcome::Retry),
            (None, Some(status(503)), Outcome::OriginFailed),
            (Some(before), Some(Answer::Nothing), Outcome::OriginFailed),
        ];
        for (alive_at, actor, expected) in table {
            let blamed = attribute(Outcome::OriginFailed, AT, alive_at, actor);
            assert_eq!(blamed, expected, "{alive_at:?} {actor:?}");
        }
    }

    #[test]
    fn other_outcomes_stay_what_they_are() {
        let hold = SignedDuration::from_secs(9);
        let outcomes = [
            Outcome::Delivered,
            Outcome::Refused,
            Outcome::Gone,
            Outcome::Retry,
            Outcome::Throttled(hold),
        ];
        for outcome in outcomes {
            assert_eq!(
                attribute(outcome, AT, Some(Timestamp::MAX), Some(status(200))),
                outcome
            );
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let table = [
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("Tue, 14 Nov 2023 22:15:20 GMT", Some(120)),
            ("Tue, 14 Nov 2023 22:10:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("99999999999", None),
        ];
        for (header, seconds) in table {
            assert_eq!(
                retry_after(header, AT),
                seconds.map(SignedDuration::from_secs),
                "{header:?}"
            );
        }
    }
}
