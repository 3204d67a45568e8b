//! Reaching RabbitMQ, and letting go of it for certain.

use std::{
    io,
    net::{Shutdown, TcpStream as Socket},
    os::fd::AsFd as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, runtime::default_runtime, tcp::TLSConfig,
    uri::AMQPScheme,
};
use tokio::{net::TcpStream, time::timeout};

use super::address::Address;

/// Holds a connection's socket beside lapin, which works on it in a thread of its own and gives up neither a handshake nor
/// a farewell that the broker leaves unanswered. Dropped, it shuts the socket, and the thread ends.
#[derive(Debug, Default)]
pub(super) struct Grip(Arc<Held>);

#[derive(Debug, Default)]
struct Held(Mutex<Hold>);

#[derive(Debug, Default)]
enum Hold {
    #[default]
    Nothing,
    Socket(Socket),
    Released,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, Hold> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, stream: &TcpStream) -> io::Result<()> {
        let socket = Socket::from(stream.as_fd().try_clone_to_owned()?);
        let mut hold = self.lock();
        if matches!(*hold, Hold::Released) {
            return socket.shutdown(Shutdown::Both);
        }
        *hold = Hold::Socket(socket);
        Ok(())
    }
}

impl Grip {
    /// Shuts the socket, also one that is only being opened.
    pub(super) fn release(&self) {
        if let Hold::Socket(socket) = std::mem::replace(&mut *self.0.lock(), Hold::Released) {
            // An error says that it is shut already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        self.release();
    }
}

/// Opens a connection: TCP, TLS where the address asks for it, and AMQP's handshake, all of it `within` this time.
/// RabbitMQ shows it under `name`.
pub(super) async fn connect(
    address: &Address,
    name: &str,
    within: Duration,
) -> lapin::Result<(Connection, Grip)> {
    let grip = Grip::default();
    let held = grip.0.clone();
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let connecting = Connection::connector(
        address.uri(),
        default_runtime()?,
        async move |uri, runtime| {
            let (host, port) = (uri.authority.host.as_str(), uri.authority.port);
            let dialling = async {
                let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    held.take(plain.get_ref())?;
                }
                match uri.scheme {
                    AMQPScheme::AMQP => Ok(stream),
                    AMQPScheme::AMQPS => stream.into_tls(host, TLSConfig::default()).await,
                }
            };
            Ok(timeout(within, dialling).await.map_err(late)??)
        },
        properties,
    );
    let connection = timeout(within, connecting).await.map_err(late)??;
    Ok((connection, grip))
}

fn late(_: tokio::time::error::Elapsed) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time")
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncReadExt as _,
        net::{TcpListener, TcpSocket},
        time::Instant,
    };

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const PATIENCE: Duration = Duration::from_secs(10);

    async fn fails(listener: &TcpListener, scheme: &str) -> String {
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let begun = Instant::now();
        let error = connect(&url.parse().unwrap(), "test", SHORT).await.unwrap_err();
        assert!(begun.elapsed() < PATIENCE);
        error.to_string()
    }

    #[tokio::test]
    async fn a_broker_that_says_nothing_is_given_up() {
        for scheme in ["amqp", "amqps"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let silent = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                // Whatever it sends first is not answered; then it must hang up.
                let mut sent = Vec::new();
                tokio::time::timeout(PATIENCE, stream.read_to_end(&mut sent))
                    .await
                    .expect("the connection is closed")
            };
            let (error, ended) = tokio::join!(fails(&listener, scheme), silent);
            assert!(error.contains("did not answer in time"), "{error}");
            let _ = ended;
        }
    }

    #[tokio::test]
    async fn a_host_that_refuses_is_told_at_once() {
        let bound = TcpSocket::new_v4().unwrap();
        bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("amqp://{}", bound.local_addr().unwrap());
        let error = connect(&url.parse().unwrap(), "test", PATIENCE)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }
}
