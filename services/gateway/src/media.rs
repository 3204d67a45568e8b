//! Media types: which one a reader wants, and answers in it.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use fedsx_kernel::definition::TYPE_DOC;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

/// Most ranges of an `Accept` header that are looked at.
const MAX_RANGES: usize = 32;

/// What documents are served as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/activity+json`
    Activity,
    /// `application/ld+json` with ActivityStreams' profile
    LinkedData,
    /// `application/json`, which browsers show instead of saving it.
    Json,
    Html,
    /// `application/vnd.fed-sx.type-doc`: a type record in canonical form
    TypeDoc,
}

impl Media {
    /// What ActivityStreams documents are offered as, the first where a reader does not mind.
    pub(crate) const DOCUMENT: [Self; 3] = [Self::Activity, Self::LinkedData, Self::Json];

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Activity => "application/activity+json",
            Self::LinkedData => r#"application/ld+json; profile="https://www.w3.org/ns/activitystreams""#,
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
            Self::TypeDoc => TYPE_DOC,
        })
    }

    /// How well a range of `Accept` fits: 0 not at all, then `*/*`, `type/*`, and the type itself.
    fn fits(self, range: &str) -> u8 {
        let whole = match self {
            Self::Activity => ["application/activity+json", ""],
            Self::LinkedData => ["application/ld+json", ""],
            Self::Json => ["application/json", "text/html"],
            Self::Html => ["text/html", "application/xhtml+xml"],
            Self::TypeDoc => [TYPE_DOC, ""],
        };
        let kind = if self == Self::Html {
            "text/*"
        } else {
            "application/*"
        };
        if whole
            .iter()
            .any(|name| !name.is_empty() && range.eq_ignore_ascii_case(name))
        {
            3
        } else if range.eq_ignore_ascii_case(kind) {
            2
        } else {
            u8::from(range == "*/*")
        }
    }

    /// The reader's weight for this type, in thousandths: of the range that fits best.
    fn weight(self, ranges: &[(String, u16)]) -> u16 {
        let fitting = ranges.iter().map(|(range, weight)| (self.fits(range), *weight));
        fitting
            .filter(|(fit, _)| *fit > 0)
            .max_by_key(|(fit, _)| *fit)
            .map_or(0, |(_, weight)| weight)
    }
}

/// Whether a content type is one of ActivityPub's, parameters aside (ActivityPub, section 3.2).
pub(crate) fn is_activity_streams(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    ["application/activity+json", "application/ld+json"]
        .iter()
        .any(|name| essence.eq_ignore_ascii_case(name))
}

/// The offer that `Accept` weighs most, the earlier one where two weigh the same. A reader that wants nothing of what
/// is offered gets the first: an answer in another type serves it better than 406 (RFC 9110, section 12.5.1).
pub(crate) fn preferred(headers: &HeaderMap, offers: &[Media]) -> Media {
    let ranges = ranges(headers);
    let mut best = (0, offers.first().copied().unwrap_or(Media::Json));
    for offer in offers {
        let weight = offer.weight(&ranges);
        if weight > best.0 {
            best = (weight, *offer);
        }
    }
    best.1
}

fn ranges(headers: &HeaderMap) -> Vec<(String, u16)> {
    let values = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .take(MAX_RANGES)
        .filter_map(range)
        .collect()
}

fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';');
    let name = parts.next()?.trim();
    let weight = parts
        .filter_map(|parameter| parameter.trim().strip_prefix("q="))
        .next_back()
        .map_or(Some(1000), thousandths)?;
    (!name.is_empty()).then(|| (name.to_owned(), weight))
}

/// A weight of RFC 9110, section 12.4.2: 0 to 1 with at most three digits.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: u16 = format!("{fraction:0<3}").parse().ok().filter(|_| digits)?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

/// How long an answer may be kept by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Not without asking again.
    Never,
    /// For one reader alone, and not stored.
    Private,
    /// Five minutes.
    Minutes,
    /// For ever: the bytes have their own name.
    Forever,
}

impl Keep {
    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Never => "no-cache",
            Self::Private => "private, no-store",
            Self::Minutes => "public, max-age=300",
            Self::Forever => "public, max-age=31536000, immutable",
        })
    }
}

/// Whether the reader has this representation already (RFC 9110, section 13.1.2).
pub(crate) fn is_held(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|held| {
        let held = held.trim();
        held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag
    })
}

/// An answer in a media type that was chosen by `Accept`.
pub(crate) fn answer(media: Media, keep: Keep, body: impl Into<Bytes>) -> Response {
    let mut response = typed(media.content_type(), keep, body);
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// An answer in the only type that the resource has.
pub(crate) fn typed(content_type: HeaderValue, keep: Keep, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, keep.header());
    // Some of what is served was written by strangers: it is data, never a page.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// An ActivityStreams document.
pub(crate) fn document(headers: &HeaderMap, keep: Keep, document: &Value) -> Response {
    answer(preferred(headers, &Media::DOCUMENT), keep, document.to_string())
}

/// A JSON document with a status of its own.
pub(crate) fn json(status: StatusCode, keep: Keep, document: &Value) -> Response {
    let response = typed(
        HeaderValue::from_static("application/json"),
        keep,
        document.to_string(),
    );
    (status, response).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    const WITH_HTML: [Media; 4] = [Media::Activity, Media::LinkedData, Media::Json, Media::Html];

    fn chosen(accept: &str, offers: &[Media]) -> Media {
        preferred(
            &HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]),
            offers,
        )
    }

    #[test]
    fn peers_get_activity_streams_and_browsers_what_they_show() {
        assert_eq!(preferred(&HeaderMap::new(), &WITH_HTML), Media::Activity);
        assert_eq!(chosen("*/*", &WITH_HTML), Media::Activity);
        assert_eq!(chosen("application/activity+json", &WITH_HTML), Media::Activity);
        assert_eq!(
            chosen(
                r#"application/ld+json; profile="https://www.w3.org/ns/activitystreams""#,
                &WITH_HTML
            ),
            Media::LinkedData
        );
        assert_eq!(chosen("application/json", &WITH_HTML), Media::Json);
        assert_eq!(chosen(BROWSER, &Media::DOCUMENT), Media::Json);
    }

    #[test]
    fn the_page_for_people_is_for_those_who_ask_for_html() {
        let offers = [Media::Activity, Media::LinkedData, Media::Html, Media::Json];
        assert_eq!(chosen(BROWSER, &offers), Media::Html);
        assert_eq!(
            chosen("text/html;q=0.5, application/activity+json", &offers),
            Media::Activity
        );
        assert_eq!(
            chosen("application/activity+json;q=0.1, text/html", &offers),
            Media::Html
        );
    }

    #[test]
    fn a_weight_of_zero_refuses_and_a_strange_one_is_passed_over() {
        assert_eq!(
            chosen("application/activity+json;q=0, */*", &Media::DOCUMENT),
            Media::LinkedData
        );
        assert_eq!(chosen("application/json;q=7", &Media::DOCUMENT), Media::Activity);
        assert_eq!(chosen("image/png", &Media::DOCUMENT), Media::Activity);
    }

    #[test]
    fn weights_have_three_digits() {
        let cases = [
            ("0", Some(0)),
            ("1", Some(1000)),
            ("0.5", Some(500)),
            ("0.123", Some(123)),
            ("1.000", Some(1000)),
        ];
        for (text, weight) in cases {
            assert_eq!(thousandths(text), weight, "{text}");
        }
        for text in ["", ".5", "1.001", "0.1234", "2", "-1", "0.é"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
