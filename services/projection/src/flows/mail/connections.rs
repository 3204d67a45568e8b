//! A few connections to the SMTP server.
//!
//! They are not lettre's pool: that keeps a connection whose mail was given up in the middle, and takes what the server says
//! late of one mail for what it says of the next.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    address::Envelope,
    transport::smtp::{Error, client::AsyncSmtpConnection},
};
use tokio::{sync::Semaphore, time::Instant};

use super::server::Server;

/// Connections at the same time. Servers admit few of one client.
const ABREAST: usize = 8;
/// How long one is worth keeping for the next mail. Servers wait for minutes (RFC 5321, section 4.5.3.2.7).
const IDLE: Duration = Duration::from_secs(15);

/// The way to a server.
pub(super) struct Connections {
    server: Server,
    room: Semaphore,
    /// Those that have taken their last mail whole, and since when they have nothing to do.
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl Connections {
    pub(super) fn new(server: Server) -> Self {
        Self {
            server,
            room: Semaphore::new(ABREAST),
            idle: Mutex::default(),
        }
    }

    /// Has the server take a message. Given up in the middle, or in vain, its connection is closed.
    pub(super) async fn send(&self, envelope: &Envelope, message: &[u8]) -> Result<(), Error> {
        // It is never closed.
        let _room = self.room.acquire().await;
        let mut connection = match self.reuse().await {
            Some(connection) => connection,
            None => self.server.connect().await?,
        };
        connection.send(envelope, message).await?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
        Ok(())
    }

    /// A connection that is open still.
    async fn reuse(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let mut connection = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|(_, since)| since.elapsed() < IDLE);
                idle.pop()?.0
            };
            if connection.test_connected().await {
                return Some(connection);
            }
        }
    }
}
