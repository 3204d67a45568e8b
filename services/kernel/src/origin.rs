//! Public origins, and the one scheme by which a domain's URLs are made from its own.

use std::{fmt, str::FromStr};

use url::Url;

use crate::cid::Cid;

/// URLs longer than this are nobody's. Bytes.
pub const MAX_URL: usize = 2048;

/// Scheme, host and port of a domain: `https://blog.example`, `http://127.0.0.1:8001`. Never ends in a slash; the
/// host is lower case and a default port is left out, so that equal origins are equal strings.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// Not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an origin such as https://blog.example")]
pub struct OriginError(pub String);

impl Origin {
    /// The origin of any absolute http or https URL.
    ///
    /// # Errors
    /// [`OriginError`] for other schemes, missing hosts and user information.
    pub fn of(url: &str) -> Result<Self, OriginError> {
        parse(url).map(|url| Self::of_url(&url))
    }

    fn of_url(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }

    /// `https://blog.example`
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Plain http, admitted for peers that the configuration lists.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http://")
    }

    /// Host, with the port where one is written: `127.0.0.1:8001`. A metric label and WebFinger's right-hand side.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The base, where the domain's Service actor lives: `https://blog.example/`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("{}/", self.0)
    }

    /// Whether an addressee is this base; a missing final slash is forgiven.
    #[must_use]
    pub fn is_base(&self, addressee: &str) -> bool {
        addressee.strip_suffix('/').unwrap_or(addressee) == self.0
    }

    /// Whether a URL lies at this origin.
    #[must_use]
    pub fn owns(&self, url: &str) -> bool {
        match url.strip_prefix(&self.0) {
            // Spelled as here, its authority cannot be read otherwise, and a path cannot be wrong.
            Some(rest) if rest.is_empty() || rest.starts_with(['/', '?', '#']) => is_plausible(url),
            _ => Self::of(url).is_ok_and(|origin| origin == *self),
        }
    }

    /// `https://blog.example/actors/alice`
    #[must_use]
    pub fn actor(&self, name: &str) -> String {
        format!("{}/actors/{name}", self.0)
    }

    /// The name in a local actor's id: `alice`; none for the base and for other URLs.
    #[must_use]
    pub fn actor_name<'a>(&self, id: &'a str) -> Option<&'a str> {
        let name = id.strip_prefix(&self.0)?.strip_prefix("/actors/")?;
        (!name.is_empty() && !name.contains(['/', '?', '#'])).then_some(name)
    }

    /// `https://blog.example/activities/<cid>`
    #[must_use]
    pub fn activity(&self, cid: &Cid) -> String {
        format!("{}/activities/{cid}", self.0)
    }

    /// `https://blog.example/types/<cid>`
    #[must_use]
    pub fn type_record(&self, cid: &Cid) -> String {
        format!("{}/types/{cid}", self.0)
    }

    /// `https://blog.example/inbox`, shared by all actors.
    #[must_use]
    pub fn shared_inbox(&self) -> String {
        format!("{}/inbox", self.0)
    }

    /// `https://blog.example/objects/<path>`
    #[must_use]
    pub fn object(&self, path: &str) -> String {
        format!("{}/objects/{path}", self.0)
    }
}
impl FromStr for Origin {
    type Err = OriginError;
    /// Parses an origin alone: a path other than `/`, a query or a fragment is an error.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        let url = parse(text)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(error(text));
        }
        Ok(Self::of_url(&url))
    }
}

/// Parses an http or https URL, refusing the spellings that WHATWG's parser repairs and other parsers read otherwise:
/// white space, control characters, backslashes, slashes too few or too many.
fn parse(text: &str) -> Result<Url, OriginError> {
    let (_, rest) = text.split_once("://").ok_or_else(|| error(text))?;
    if rest.starts_with('/') || !is_plausible(text) {
        return Err(error(text));
    }
    let url = Url::parse(text).map_err(|_| error(text))?;
    let known = matches!(url.scheme(), "http" | "https");
    if !known || !url.has_host() || !url.username().is_empty() || url.password().is_some() {
        return Err(error(text));
    }
    Ok(url)
}

/// Whether a URL is no longer than [`MAX_URL`], and free of white space, control characters and backslashes.
fn is_plausible(url: &str) -> bool {
    let suspicious = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    let is_ascii_suspicious = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'\\';
    let is_suspicious = if url.is_ascii() {
        url.bytes().any(is_ascii_suspicious)
    } else {
        url.contains(suspicious)
    };
    url.len() <= MAX_URL && !is_suspicious
}

fn error(text: &str) -> OriginError {
    OriginError(text.chars().take(100).collect())
}
impl TryFrom<String> for Origin {
    type Error = OriginError;
    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}
impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn equal_origins_are_equal_strings() {
        for text in [
            "https://blog.example",
            "https://blog.example/",
            "HTTPS://Blog.Example:443",
        ] {
            assert_eq!(origin(text).as_str(), "https://blog.example", "{text}");
        }
        assert_ne!(origin("https://blog.example."), origin("https://blog.example"));
        assert_eq!(origin("http://127.0.0.1:8001").as_str(), "http://127.0.0.1:8001");
        assert_eq!(
            origin("https://bücher.example").as_str(),
            "https://xn--bcher-kva.example"
        );
        assert_eq!(
            Origin::of("https://blog.example:8443/a?b#c").unwrap().as_str(),
            "https://blog.example:8443"
        );
    }

    #[test]
    fn an_origin_has_no_path_query_or_fragment() {
        for text in [
            "https://blog.example/a",
            "https://blog.example/?",
            "https://blog.example#",
            "https://blog.example//",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_what_parsers_read_differently() {
        let long = format!("https://blog.example/{}", "a".repeat(MAX_URL));
        let texts = [
            "",
            "blog.example",
            "/actors/alice",
            "ftp://blog.example/",
            "did:key:z6Mk",
            "https:blog.example/",
            "https:/blog.example/",
            "https:///blog.example/",
            "https://",
            "https://user@blog.example/",
            "https://user:pass@blog.example/",
            "https://:pass@blog.example/",
            "https:\\\\blog.example/",
            "https://blog.example\\@evil.example/",
            " https://blog.example/",
            "https://blog.example/ ",
            "https://blog.example/\n",
            "https://blog.exa\tmple/",
            "https://blog.example:99999/",
            "https://a b/",
            "https://[::1/",
            "javascript://blog.example/",
            "https://blog.example/\u{a0}",
            &long,
        ];
        for text in texts {
            assert!(Origin::of(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn owns_what_lies_at_it_alone() {
        let blog = origin("https://blog.example");
        assert!(blog.owns("https://BLOG.example:443/actors/alice"));
        for url in [
            "http://blog.example/",
            "https://blog.example:444/",
            "https://blog.example.evil/",
            "https://a@blog.example/",
        ] {
            assert!(!blog.owns(url), "{url}");
        }
    }

    proptest! {
        #[test]
        fn owns_what_has_its_origin_however_it_is_spelled(
            port in prop::option::of(Just(":8001")),
            rest in prop_oneof![r#"[/?#:@.\\ a-z0-9\x00-\x7f]{0,6}"#, any::<String>(), "/a{2030,2050}"],
        ) {
            let authority = format!("https://blog.example{}", port.unwrap_or_default());
            let url = authority.clone() + &rest;
            let has_it = Origin::of(&url).is_ok_and(|at| at.as_str() == authority);
            prop_assert_eq!(origin(&authority).owns(&url), has_it, "{}", url);
        }
    }

    #[test]
    fn makes_and_reads_its_own_urls() {
        let blog = origin("http://127.0.0.1:8001");
        assert_eq!(blog.base(), "http://127.0.0.1:8001/");
        assert!(
            blog.is_base("http://127.0.0.1:8001")
                && blog.is_base(&blog.base())
                && !blog.is_base("http://127.0.0.1:8001//")
        );
        assert_eq!(blog.authority(), "127.0.0.1:8001");
        assert!(blog.is_plain());
        let alice = blog.actor("alice");
        assert_eq!(blog.actor_name(&alice), Some("alice"));
        for id in [
            blog.base(),
            format!("{alice}/inbox"),
            format!("{alice}?a"),
            format!("{alice}#key"),
            blog.actor(""),
        ] {
            assert_eq!(blog.actor_name(&id), None, "{id}");
        }
        let cid = Cid::of_canonical(b"{}");
        assert_eq!(
            blog.activity(&cid),
            format!("http://127.0.0.1:8001/activities/{cid}")
        );
        assert_eq!(blog.shared_inbox(), "http://127.0.0.1:8001/inbox");
        assert_eq!(blog.object("notes/1"), "http://127.0.0.1:8001/objects/notes/1");
    }
}
