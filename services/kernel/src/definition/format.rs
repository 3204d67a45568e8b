//! Formats of strings.

use jiff::{Timestamp, civil::Date};

use crate::{cid::Cid, json::MAX_BYTES, recurrence, slug};

/// What a string must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An instant, RFC 3339: `2026-11-21T20:00:00Z`.
    DateTime,
    /// A day, RFC 3339 `full-date`: `2026-11-21`.
    Date,
    /// An absolute URI, RFC 3986, as the WHATWG's parser reads it.
    Uri,
    /// `local@domain`: one `@`, both sides there, no white space.
    Email,
    /// The form of a language tag, RFC 5646: `de-CH`.
    Language,
    /// A CID of a canonical JSON document.
    Cid,
    /// A name in a URL: lower-case ASCII letters and digits, with single hyphens between them; 1 to 100 characters.
    Slug,
    /// The name of a time zone of the IANA database that is in the binary: `Europe/Zurich`.
    Timezone,
    /// When something recurs, RFC 5545 section 3.3.10, within the bounds of [`recurrence::Rule`]: `FREQ=WEEKLY;BYDAY=SA`.
    Rrule,
}

impl Format {
    pub const ALL: [Self; 9] = [
        Self::DateTime,
        Self::Date,
        Self::Uri,
        Self::Email,
        Self::Language,
        Self::Cid,
        Self::Slug,
        Self::Timezone,
        Self::Rrule,
    ];

    /// The word for it, JSON Schema's where it has one.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DateTime => "date-time",
            Self::Date => "date",
            Self::Uri => "uri",
            Self::Email => "email",
            Self::Language => "language",
            Self::Cid => "cid",
            Self::Slug => "slug",
            Self::Timezone => "timezone",
            Self::Rrule => "rrule",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::DateTime => text.len() <= 64 && text.parse::<Timestamp>().is_ok(),
            Self::Date => text.len() == "2026-11-21".len() && text.parse::<Date>().is_ok(),
            Self::Uri => text.len() <= MAX_BYTES && url::Url::parse(text).is_ok(),
            Self::Email => is_email(text),
            Self::Language => is_language(text),
            Self::Cid => text.parse::<Cid>().is_ok(),
            Self::Slug => slug::is_slug(text),
            Self::Timezone => recurrence::zone(text).is_some(),
            Self::Rrule => text.parse::<recurrence::Rule>().is_ok(),
        }
    }
}

impl Format {
    /// More of why a text does not fit, in words that tell nothing of its content.
    pub(super) fn reason(self, text: &str) -> Option<String> {
        match self {
            Self::Rrule => text
                .parse::<recurrence::Rule>()
                .err()
                .map(|error| error.to_string()),
            _ => None,
        }
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_part = |part: &str| {
        !part.is_empty() && !part.contains(|letter: char| letter.is_whitespace() || letter == '@')
    };
    text.len() <= 254 && is_part(local) && is_part(domain)
}

fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let is_first = (2..=8).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_part =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 64 && is_first && parts.all(is_part)
}
