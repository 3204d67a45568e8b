//! Where the guarded client may go.

use std::{collections::BTreeSet, net::IpAddr};

use url::{Host, Url};

use super::{
    address,
    resolve::{ResolveError, Services},
};

/// The guard's refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("{0:?} is not a URL that can be fetched")]
    NotFetchable(String),
    #[error("{0} is plain http; only https peers are reached, and those listed as plain (--plain-peer)")]
    Plain(String),
    #[error(
        "{0} is at a private, loopback or link-local address; only peers listed as plain (--plain-peer) may be"
    )]
    PrivateAddress(String),
    #[error("{0} is of a host that is reached inside the cluster, and only as it is listed (--resolve)")]
    NotInside(String),
    #[error("{0:?} is no origin such as http://127.0.0.1:8002; its port may be *")]
    NotAnOrigin(String),
}

/// The peers that may be plain http and at private addresses, and those inside the cluster; everything else must be https
/// and public.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    plain: BTreeSet<(String, Option<u16>)>,
    inside: Services,
}

impl Policy {
    /// A policy that lists these origins as plain: `http://127.0.0.1:8002`, or `http://127.0.0.1:*` for every port.
    ///
    /// # Errors
    /// [`PolicyError::NotAnOrigin`]
    pub fn new(plain: impl IntoIterator<Item = String>) -> Result<Self, PolicyError> {
        let parse = |text: String| {
            let any_port = text.strip_suffix(":*");
            let url = Url::parse(any_port.unwrap_or(&text))
                .ok()
                .filter(|url| url.path() == "/" && url.query().is_none());
            let host = url.as_ref().and_then(|url| url.host_str());
            match (url.as_ref(), host) {
                (Some(url), Some(host)) => Ok((host.to_owned(), port(url).filter(|_| any_port.is_none()))),
                _ => Err(PolicyError::NotAnOrigin(text)),
            }
        };
        Ok(Self {
            plain: plain.into_iter().map(parse).collect::<Result<_, _>>()?,
            inside: Services::default(),
        })
    }

    /// And that some public hosts answer inside the cluster:
    /// `events.example.org=http://events-gateway.events.svc:8000`, or `…=https://…:8443?ca=FILE`.
    ///
    /// # Errors
    /// [`ResolveError`]
    pub fn resolving(self, entries: impl IntoIterator<Item = String>) -> Result<Self, ResolveError> {
        Ok(Self {
            inside: Services::parse(entries)?,
            ..self
        })
    }

    pub(super) fn inside(&self) -> &Services {
        &self.inside
    }

    /// Whether a URL's origin is listed.
    #[must_use]
    pub fn lists(&self, url: &Url) -> bool {
        url.host_str().is_some_and(|host| {
            self.plain.contains(&(host.to_owned(), None))
                || self.plain.contains(&(host.to_owned(), port(url)))
        })
    }

    pub(super) fn lists_host(&self, host: &str) -> bool {
        self.plain.iter().any(|(listed, _)| listed == host)
    }

    /// The parsed URL, if it may be fetched as far as can be told before DNS.
    ///
    /// # Errors
    /// [`PolicyError`]
    pub fn check(&self, url: &str) -> Result<Url, PolicyError> {
        let parsed = Url::parse(url).map_err(|_| PolicyError::NotFetchable(url.to_owned()))?;
        let sound = matches!(parsed.scheme(), "http" | "https")
            && parsed.host().is_some()
            && parsed.username().is_empty()
            && parsed.password().is_none();
        if !sound {
            return Err(PolicyError::NotFetchable(url.to_owned()));
        }
        if parsed.host_str().is_some_and(|host| self.inside.list(host)) {
            // Never by the public DNS, nor at another port of it.
            return match self.inside.of(&parsed) {
                Some(_) => Ok(parsed),
                None => Err(PolicyError::NotInside(parsed.origin().ascii_serialization())),
            };
        }
        if self.lists(&parsed) {
            return Ok(parsed);
        }
        if parsed.scheme() == "http" {
            return Err(PolicyError::Plain(parsed.origin().ascii_serialization()));
        }
        let literal = match parsed.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            _ => None,
        };
        if literal.is_some_and(|ip| !address::is_public(ip)) {
            return Err(PolicyError::PrivateAddress(parsed.origin().ascii_serialization()));
        }
        Ok(parsed)
    }
}

fn port(url: &Url) -> Option<u16> {
    url.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_peers_are_listed_by_origin() {
        let policy = Policy::new(["http://127.0.0.1:8002".to_owned(), "http://[::1]:*".to_owned()]).unwrap();
        assert!(policy.check("http://127.0.0.1:8002/inbox").is_ok());
        assert!(policy.check("http://[::1]:4/inbox").is_ok());
        assert!(matches!(
            policy.check("http://127.0.0.1:8003/"),
            Err(PolicyError::Plain(_))
        ));
        assert!(policy.check("https://blog.example/").is_ok());
    }

    #[test]
    fn disguised_addresses_are_seen_through() {
        let policy = Policy::default();
        for url in [
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://169.254.169.254/latest",
        ] {
            assert!(
                matches!(policy.check(url), Err(PolicyError::PrivateAddress(_))),
                "{url}"
            );
        }
        for url in [
            "ftp://blog.example/",
            "https://user@blog.example/",
            "file:///etc/passwd",
            "nonsense",
        ] {
            assert!(
                matches!(policy.check(url), Err(PolicyError::NotFetchable(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn a_host_inside_the_cluster_is_reached_as_it_is_listed_and_its_service_is_not() {
        let plain = ["http://events.example.org:*".to_owned()];
        let listed = "events.example.org:8443=http://events-gateway.events.svc:8000".to_owned();
        let policy = Policy::new(plain).unwrap().resolving([listed]).unwrap();
        assert!(policy.check("https://events.example.org:8443/inbox").is_ok());
        for url in [
            "https://events.example.org/",
            "https://events.example.org.:8443/",
            "http://events.example.org:8443/",
            "http://events.example.org/",
        ] {
            assert!(
                matches!(policy.check(url), Err(PolicyError::NotInside(_))),
                "{url}"
            );
        }
        assert!(matches!(
            policy.check("http://events-gateway.events.svc:8000/inbox"),
            Err(PolicyError::Plain(_))
        ));
    }

    #[test]
    fn what_is_no_origin_is_named() {
        assert!(matches!(
            Policy::new(["127.0.0.1:80".to_owned()]),
            Err(PolicyError::NotAnOrigin(_))
        ));
        assert!(matches!(
            Policy::new(["http://a.example/x".to_owned()]),
            Err(PolicyError::NotAnOrigin(_))
        ));
    }
}
