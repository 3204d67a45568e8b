//! The SMTP server of the settings.

use std::{net::IpAddr, time::Duration};

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, TlsParameters},
    extension::ClientId,
};
use percent_encoding::percent_decode_str;
use url::Url;

/// How long an address may take to answer, where the server has several.
const CONNECT: Duration = Duration::from_secs(10);

/// Where mails are handed in.
pub(super) struct Server {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    /// What we say who we are.
    hello: ClientId,
}

enum Security {
    Clear,
    StartTls(TlsParameters),
    Tls(TlsParameters),
}

/// A URL is none of an SMTP server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("is no URL: {0}")]
    Url(#[from] url::ParseError),
    #[error("is none of `smtp://host`, `smtp://host?tls=required` and `smtps://host`")]
    Form,
    #[error("has a user or a password that is no UTF-8")]
    Credentials,
    #[error("has a user and no password, or a password and no user")]
    Halves,
    #[error("would send its password in the clear: say `?tls=required`, or `smtps://`")]
    InTheClear,
    #[error("cannot be spoken to by TLS: {0}")]
    Tls(Error),
}

impl Server {
    /// `smtp://` or `smtps://`, perhaps `user:password@` (percent-encoded), a host, perhaps a port, and for `smtp` perhaps
    /// `?tls=required`.
    pub(super) fn parse(url: &str, hello: ClientId) -> Result<Self, ServerError> {
        let url = Url::parse(url)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(ServerError::Form);
        }
        let host = host(&url).ok_or(ServerError::Form)?;
        let tls = || TlsParameters::new(host.clone()).map_err(ServerError::Tls);
        let (security, port) = match (url.scheme(), url.query()) {
            ("smtp", None) => (Security::Clear, 25),
            ("smtp", Some("tls=required")) => (Security::StartTls(tls()?), 587),
            ("smtps", None) => (Security::Tls(tls()?), 465),
            _ => return Err(ServerError::Form),
        };
        let credentials = credentials(&url)?;
        if credentials.is_some() && matches!(security, Security::Clear) && !is_loopback(&host) {
            return Err(ServerError::InTheClear);
        }
        Ok(Self {
            port: url.port().unwrap_or(port),
            host,
            security,
            credentials,
            hello,
        })
    }

    /// A connection that takes mails.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let at_once = match &self.security {
            Security::Tls(tls) => Some(tls.clone()),
            Security::Clear | Security::StartTls(_) => None,
        };
        let address = (self.host.as_str(), self.port);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &self.hello, at_once, None);
        let mut connection = connecting.await?;
        if let Security::StartTls(tls) = &self.security {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

/// The host without the brackets of an IPv6 address.
fn host(url: &Url) -> Option<String> {
    match url.host()? {
        url::Host::Domain("") => None,
        url::Host::Domain(name) => Some(name.to_owned()),
        url::Host::Ipv4(address) => Some(address.to_string()),
        url::Host::Ipv6(address) => Some(address.to_string()),
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, ServerError> {
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map(String::from).map_err(|_| ServerError::Credentials)
    };
    match (url.username(), url.password().unwrap_or_default()) {
        ("", "") => Ok(None),
        ("", _) | (_, "") => Err(ServerError::Halves),
        (user, password) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
    }
}

fn is_loopback(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
