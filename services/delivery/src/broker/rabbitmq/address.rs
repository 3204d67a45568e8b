//! Where RabbitMQ is, and as whom it is asked.

use std::{fmt, str::FromStr};

use lapin::{
    types::{FrameSize, Heartbeat},
    uri::{AMQPScheme, AMQPUri},
};
use url::{Host, Url};

/// Seconds between two signs of life, where the URL sets none. A broker that gives none for twice as long is away.
const HEARTBEAT: Heartbeat = 5;
/// Largest frame in bytes, where the URL sets none. The client keeps buffers of 32 frames either way; a lane fits in any.
const FRAME_MAX: FrameSize = 32 << 10;

/// A RabbitMQ URL that was understood. Shown, it is without its password.
#[derive(Clone)]
pub(super) struct Address(AMQPUri);

/// A URL that names no vhost of a RabbitMQ server. Never holds the URL itself, whose password must not be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker's URL is not of the form amqp://user:password@host:port/vhost: {0}")]
pub struct AddressError(String);

impl Address {
    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|error| AddressError(error.to_string()))?;
        url.scheme()
            .parse::<AMQPScheme>()
            .map_err(|_| AddressError(format!("its scheme is {}, not amqp or amqps", url.scheme())))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(AddressError("it names no host".to_owned()));
        }
        let mut uri: AMQPUri = text.parse().map_err(AddressError)?;
        if let Some(Host::Ipv6(address)) = url.host() {
            // lapin takes such a host for none and would go to localhost.
            uri.authority.host = address.to_string();
        }
        if uri.vhost.is_empty() {
            // Nobody names a vhost so; a slash at the end is written without a thought.
            uri.vhost = "/".to_owned();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        Ok(Self(uri))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { authority, vhost, .. } = &self.0;
        let (host, port, user) = (&authority.host, authority.port, &authority.userinfo.username);
        write!(f, "RabbitMQ at {host}:{port}, vhost {vhost:?}, user {user:?}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        url.parse().unwrap()
    }

    #[test]
    fn it_is_shown_without_its_password() {
        let address = address("amqp://blog:s3cret@broker.example/blog");
        let shown = format!("{address} {address:?}");
        assert!(
            shown.contains("broker.example:5672, vhost \"blog\", user \"blog\""),
            "{shown}"
        );
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn what_the_url_does_not_say_has_a_default() {
        assert_eq!(address("amqp://h").0.vhost, "/");
        assert_eq!(address("amqp://h/").0.vhost, "/");
        assert_eq!(address("amqp://h/%2f").0.vhost, "/");
        assert_eq!(address("amqps://h").0.authority.port, 5671);
        assert_eq!(address("amqp://h").0.query.heartbeat, Some(HEARTBEAT));
        assert_eq!(address("amqp://h?heartbeat=30").0.query.heartbeat, Some(30));
    }

    #[test]
    fn a_host_may_be_an_address() {
        assert_eq!(address("amqp://127.0.0.1:1").0.authority.host, "127.0.0.1");
        assert_eq!(address("amqp://[::1]:1").0.authority.host, "::1");
    }

    #[test]
    fn a_url_that_is_none_is_refused_without_showing_it() {
        for url in [
            "blog:s3cret@broker",
            "http://blog:s3cret@broker",
            "amqp:blog:s3cret",
            "amqp://blog:s3cret@/",
            "amqp://blog:s3cret@broker:port",
            "amqp://blog:s3cret@broker?heartbeat=often",
        ] {
            let error = url.parse::<Address>().unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
