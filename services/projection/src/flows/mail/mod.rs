//! Mail, by SMTP.
//!
//! [`message`] is what is sent, [`server`] where to and how, [`connections`] the way there.

use std::{fmt, sync::Arc, time::Duration};

use fedsx_kernel::origin::Origin;
use jiff::Timestamp;
use lettre::{
    Address,
    message::Mailbox,
    transport::smtp::{Error, extension::ClientId},
};
use tokio::time::timeout;

mod connections;
mod message;
mod server;
#[cfg(test)]
mod tests;

use connections::Connections;
use server::Server;
pub use server::ServerError;

/// How long a mail may take, waiting for a connection included. Less than what a flow is claimed for
/// ([`Settings::flow_term`](crate::Settings::flow_term)); RFC 5321, section 4.5.3.2 would wait longer, and be in doubt less often.
const PATIENCE: Duration = Duration::from_secs(45);
/// Most characters of why a mail was not taken; the server writes that.
const MAX_CAUSE: usize = 500;

/// Where mails are handed in, and who sends them. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    connections: Arc<Connections>,
    from: Mailbox,
    /// The right side of message ids.
    host: Arc<str>,
    patience: Duration,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The server has a password.
        f.debug_struct("Mailer")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// Mails cannot be sent as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("`smtp` {0}")]
    Server(ServerError),
    #[error("`mail_from` {0}; it is like `Blog <blog@example.org>`")]
    From(String),
}

/// A mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotSent {
    pub(crate) cause: String,
    /// Whether it is worth trying again.
    pub(crate) passes: bool,
}

/// A mail to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mail<'a> {
    /// One mailbox.
    pub(crate) to: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) text: &'a str,
    /// What it is known by; the same makes the same message id. Letters, digits, `-`, `_` and `/`.
    pub(crate) key: &'a str,
    /// Its date.
    pub(crate) at: Timestamp,
}

impl Mailer {
    /// `url`: `smtp://user:password@host:587?tls=required` (STARTTLS), `smtps://…` (TLS from the beginning), or `smtp://host:25`,
    /// in the clear. `from`: `Blog <blog@example.org>`; none: `no-reply@` and the origin's host, or `localhost` where that is an address.
    ///
    /// # Errors
    /// [`MailerError`], which names the setting.
    pub fn new(url: &str, from: Option<&str>, origin: &Origin) -> Result<Self, MailerError> {
        let host = host(origin);
        let from = match from {
            Some(from) => message::mailbox(from).map_err(MailerError::From)?,
            None => {
                // The headers' writer understands no literal address.
                let host = if host.starts_with('[') { "localhost" } else { &host };
                Address::new("no-reply", host)
                    .map_err(|error| MailerError::From(format!("is needed: no-reply@{host}: {error}")))?
                    .into()
            }
        };
        let server = Server::parse(url, ClientId::Domain(host.clone())).map_err(MailerError::Server)?;
        Ok(Self {
            connections: Arc::new(Connections::new(server)),
            from,
            host: host.into(),
            patience: PATIENCE,
        })
    }

    /// Hands a mail in, and returns its message id. It may have been taken although it is said not to have been: then it comes
    /// twice, under one message id.
    ///
    /// # Errors
    /// [`NotSent`]
    pub(crate) async fn send(&self, mail: &Mail<'_>) -> Result<String, NotSent> {
        // RFC 5322, section 3.6.4: `/`, too, is a letter of an atom.
        let id = format!("<{}@{}>", mail.key, self.host);
        let message =
            message::compose(mail, &self.from, &id).map_err(|cause| NotSent { cause, passes: false })?;
        let whole = message.formatted();
        let sending = self.connections.send(message.envelope(), &whole);
        match timeout(self.patience, sending).await {
            Ok(Ok(())) => Ok(id),
            Ok(Err(error)) => Err(NotSent {
                passes: passes(&error),
                cause: cause(&error),
            }),
            Err(_) => Err(NotSent {
                cause: format!(
                    "the SMTP server has not taken it in {} s",
                    self.patience.as_secs()
                ),
                passes: true,
            }),
        }
    }
}

/// The origin's host as SMTP names it: a literal address stands in brackets (RFC 5321, section 4.1.3).
fn host(origin: &Origin) -> String {
    let url = url::Url::parse(origin.as_str()).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name.to_owned(),
        Some(url::Host::Ipv4(address)) => format!("[{address}]"),
        Some(url::Host::Ipv6(address)) => format!("[IPv6:{address}]"),
        None => "localhost".to_owned(),
    }
}

/// Whether a mail is worth trying again that was not taken. What is not: a refusal (5yz, RFC 5321, section 4.2.1), a server
/// that cannot what the mail or the settings ask for, and one that TLS does not trust.
fn passes(error: &Error) -> bool {
    !(error.is_permanent() || error.is_client() || error.is_tls() || distrusted(error))
}

/// Whether TLS has found something wrong, rather than the way to the server.
fn distrusted(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(deeper) = source {
        if let Some(io) = deeper.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::InvalidData;
        }
        source = deeper.source();
    }
    false
}

/// What the server said, or why there was none.
fn cause(error: &Error) -> String {
    let said = error.to_string();
    said.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(MAX_CAUSE)
        .collect()
}
