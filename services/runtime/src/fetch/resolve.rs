//! Peers inside the cluster: which of them answer somewhere else than the public DNS says, and where.
//!
//! `events.example.org=https://events-gateway.events.svc:8443?ca=/etc/fed-sx/peers/events/ca.crt`: only the way of the bytes
//! changes. Ids, signatures, the header `Host` and the name in the certificate stay those of `https://events.example.org`.

use std::{collections::BTreeMap, path::PathBuf};

use url::{Host, Url};

/// An entry of `resolve` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host:?} {fault}")]
pub struct ResolveError {
    /// What stands before `=`: what comes after may hold a password that somebody has put there.
    host: String,
    fault: Fault,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("names no service: events.example.org=http://events-gateway.events.svc:8000")]
    NoService,
    #[error("is no public host, such as events.example.org or events.example.org:8443")]
    Host,
    #[error("is listed twice")]
    Twice,
    #[error("has a service that is no URL of the form http://HOST:PORT or https://HOST:PORT?ca=FILE")]
    Url,
    #[error("has a service with a user or a password")]
    User,
    #[error("has a service with a path or a fragment: {0:?}")]
    Path(String),
    #[error("has a service with {0:?}; all that is known there is ca=FILE, once")]
    Query(String),
    #[error("has a `ca` although its service is plain http")]
    PlainCa,
}

/// Where one peer answers inside the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// None: plain http.
    pub(super) tls: Option<Trust>,
}

/// Who vouches for a service's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// The system's authorities.
    System,
    /// Those of this PEM file, and no other.
    Authority(PathBuf),
}

/// A peer's public host and port.
pub(super) type Place = (String, u16);

/// The peers that are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Services(BTreeMap<Place, Service>);

impl Services {
    pub(super) fn parse(entries: impl IntoIterator<Item = String>) -> Result<Self, ResolveError> {
        let mut services = BTreeMap::new();
        for entry in entries {
            let (public, service) = entry.split_once('=').unwrap_or((&entry, ""));
            let wrong = |fault| ResolveError {
                host: public.to_owned(),
                fault,
            };
            let place = public_host(public).ok_or_else(|| wrong(Fault::Host))?;
            let service = Service::parse(service).map_err(wrong)?;
            if services.insert(place, service).is_some() {
                return Err(wrong(Fault::Twice));
            }
        }
        Ok(Self(services))
    }

    /// Whether a host is listed, with whatever port.
    pub(super) fn list(&self, host: &str) -> bool {
        // The root's dot makes another spelling of the same name.
        let host = host.strip_suffix('.').unwrap_or(host);
        self.0.keys().any(|(listed, _)| listed == host)
    }

    /// Where a URL of a peer that is listed leads.
    pub(super) fn of(&self, url: &Url) -> Option<&Service> {
        self.0.get(&place(url)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Place, &Service)> {
        self.0.iter()
    }
}

/// The host and port of a URL that may be listed.
pub(super) fn place(url: &Url) -> Option<Place> {
    let is_https = url.scheme() == "https";
    let host = url.host_str().filter(|_| is_https)?;
    Some((host.to_owned(), url.port_or_known_default()?))
}

/// A name as URLs spell it, and its port.
fn public_host(text: &str) -> Option<Place> {
    let url = Url::parse(&format!("https://{text}")).ok()?;
    let is_name = matches!(url.host(), Some(Host::Domain(_)));
    let host = url.host_str().filter(|_| is_name)?;
    let port = url.port_or_known_default().filter(|port| *port > 0)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_sound = is_bare && !text.contains(['/', '@', '*']) && !host.ends_with('.');
    is_sound.then(|| (host.to_owned(), port))
}

impl Service {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::NoService);
        }
        // The file's path is taken as it stands there, and is no part of the URL.
        let (address, query) = text
            .split_once('?')
            .map_or((text, None), |(address, query)| (address, Some(query)));
        let url = Url::parse(address).map_err(|_| Fault::Url)?;
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(Fault::Url),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Fault::User);
        }
        if url.path() != "/" || url.fragment().is_some() {
            let fragment = url
                .fragment()
                .map_or(String::new(), |fragment| format!("#{fragment}"));
            return Err(Fault::Path(url.path().to_owned() + &fragment));
        }
        let port = url.port_or_known_default().filter(|port| *port > 0);
        let (Some(host), Some(port)) = (url.host_str(), port) else {
            return Err(Fault::Url);
        };
        let authority = query.map(authority).transpose()?;
        if authority.is_some() && !is_tls {
            return Err(Fault::PlainCa);
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            tls: is_tls.then(|| authority.map_or(Trust::System, Trust::Authority)),
        })
    }
}

fn authority(query: &str) -> Result<PathBuf, Fault> {
    query
        .strip_prefix("ca=")
        .filter(|file| !file.is_empty() && !file.contains(['&', '#']))
        .map(PathBuf::from)
        .ok_or_else(|| Fault::Query(query.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &[&str]) -> Result<Services, ResolveError> {
        Services::parse(entries.iter().map(|entry| (*entry).to_owned()))
    }

    fn service(host: &str, port: u16, tls: Option<Trust>) -> Service {
        let host = host.to_owned();
        Service { host, port, tls }
    }

    #[test]
    fn entries_say_where_public_hosts_answer() {
        let services = parse(&[
            "events.example.org=http://events-gateway.events.svc:8000",
            "Events.example.org:8443=https://events-gateway.events.svc?ca=/etc/peers/a+b%20c.crt",
            "blog.example.org=https://[fd00::1]:8443/",
        ])
        .unwrap();
        let of = |url: &str| services.of(&url.parse().unwrap()).cloned();
        let inside = "events-gateway.events.svc";
        assert_eq!(
            of("https://events.example.org/inbox"),
            Some(service(inside, 8000, None))
        );
        let trust = Trust::Authority("/etc/peers/a+b%20c.crt".into());
        assert_eq!(
            of("https://events.example.org:8443/"),
            Some(service(inside, 443, Some(trust)))
        );
        assert_eq!(
            of("https://blog.example.org:443/"),
            Some(service("fd00::1", 8443, Some(Trust::System)))
        );
        for elsewhere in [
            "http://events.example.org/",
            "https://events.example.org:8000/",
            "https://sub.events.example.org/",
            "https://events-gateway.events.svc/",
            "https://events.example.org./",
        ] {
            assert_eq!(of(elsewhere), None, "{elsewhere}");
        }
        assert!(services.list("events.example.org.") && !services.list("example.org"));
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_said_and_no_password_is_told() {
        let service = "=http://svc:8000";
        let wrong = [
            ("events.example.org", "names no service"),
            ("events.example.org=", "names no service"),
            (&format!("https://events.example.org{service}"), "no public host"),
            (&format!("events.example.org/x{service}"), "no public host"),
            (
                &format!("me:secret@events.example.org{service}"),
                "no public host",
            ),
            (&format!("*.example.org{service}"), "no public host"),
            (&format!("events.example.org.{service}"), "no public host"),
            (&format!("events.example.org:0{service}"), "no public host"),
            (&format!("127.0.0.1{service}"), "no public host"),
            (&format!("[::1]{service}"), "no public host"),
            (service, "no public host"),
            ("a.example=svc:8000", "no URL"),
            ("a.example=tcp://svc:8000", "no URL"),
            ("a.example=http://", "no URL"),
            ("a.example=http://svc:0", "no URL"),
            ("a.example=http://me:secret@svc:8000", "a user or a password"),
            (
                "a.example=http://svc:8000/inbox",
                "a path or a fragment: \"/inbox\"",
            ),
            ("a.example=http://svc:8000#x", "a path or a fragment"),
            ("a.example=https://svc?caa=/ca.crt", "\"caa=/ca.crt\""),
            ("a.example=https://svc?ca=", "\"ca=\""),
            ("a.example=https://svc?ca=/a&ca=/b", "ca=FILE, once"),
            ("a.example=https://svc?", "ca=FILE"),
            ("a.example=http://svc?ca=/ca.crt", "plain http"),
        ];
        for (entry, fault) in wrong {
            let error = parse(&[entry]).unwrap_err().to_string();
            assert!(error.contains(fault), "{entry}: {error} should say {fault}");
            assert!(!error.contains("secret") || entry.starts_with("me:"), "{error}");
        }
        let twice = ["a.example=http://svc", "A.example:443=https://svc"];
        assert!(parse(&twice).unwrap_err().to_string().contains("listed twice"));
        assert!(parse(&["a.example=http://svc", "a.example:1=http://svc"]).is_ok());
    }
}
