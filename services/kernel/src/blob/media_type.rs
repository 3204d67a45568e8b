//! What a blob's bytes are said to be.

use std::{fmt, str::FromStr};

/// Longest name on either side of the slash (RFC 6838, section 4.2).
const MAX_NAME: usize = 127;

/// A media type without parameters, `image/jpeg`; in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(String);

/// Not a media type, or one with parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no media type such as image/jpeg")]
pub struct MediaTypeError(String);

impl MediaType {
    /// Of bytes of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self("application/octet-stream".to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type of an attachment: `Image`, `Audio`, `Video`, or `Document`.
    #[must_use]
    pub fn object_type(&self) -> &'static str {
        match self.0.split('/').next() {
            Some("image") => "Image",
            Some("audio") => "Audio",
            Some("video") => "Video",
            _ => "Document",
        }
    }

    /// Whether a browser that is shown such bytes runs nothing in them: images, audio and video, but none made of XML, in
    /// which scripts may stand (SVG).
    #[must_use]
    pub fn is_inert(&self) -> bool {
        self.object_type() != "Document" && !self.0.contains("xml")
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;
    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        // RFC 6838, section 4.2: restricted-name.
        let is_name = |name: &str| {
            name.len() <= MAX_NAME
                && name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        match text.split_once('/') {
            Some((main, sub)) if is_name(main) && is_name(sub) => Ok(Self(text.to_ascii_lowercase())),
            _ => Err(MediaTypeError(text.chars().take(MAX_NAME).collect())),
        }
    }
}
impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_restricted_and_lower_case() {
        assert_eq!("Image/JPEG".parse(), Ok(MediaType("image/jpeg".to_owned())));
        for text in [
            "",
            "image",
            "image/",
            "/jpeg",
            "image/jpeg; q=1",
            "a/b/c",
            "a/b\r\nx: y",
            "image/é",
        ] {
            assert!(text.parse::<MediaType>().is_err(), "{text:?}");
        }
        assert!(format!("a/{}", "b".repeat(128)).parse::<MediaType>().is_err());
    }

    #[test]
    fn what_may_hold_a_script_is_not_inert() {
        for (text, object_type, is_inert) in [
            ("image/jpeg", "Image", true),
            ("image/svg+xml", "Image", false),
            ("video/mp4", "Video", true),
            ("audio/ogg", "Audio", true),
            ("text/html", "Document", false),
            ("application/pdf", "Document", false),
        ] {
            let media_type: MediaType = text.parse().unwrap();
            assert_eq!(
                (media_type.object_type(), media_type.is_inert()),
                (object_type, is_inert),
                "{text}"
            );
        }
    }
}
