//! Hints of what other replicas have appended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions};
use tokio::{sync::watch, time::timeout};

use super::writer::within;

/// Where a batch's holder tells how far the log reaches, once it has committed.
pub(super) const CHANNEL: &str = "fedsx_log";

/// Where what others told may have been missed: the log may reach anywhere.
pub(super) const MISSED: u64 = u64::MAX;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Between two attempts to have one. Meanwhile polling does without.
const RETRY: Duration = Duration::from_secs(1);
/// After so much silence the connection is asked whether it is alive.
const SILENCE: Duration = Duration::from_secs(30);
const ALIVE: Duration = Duration::from_secs(5);

/// Listens until the last receiver has gone, but not to `own`, the process at the other end of the connection that writes.
/// The value is how far the log may reach: [`MISSED`] where nobody knows.
pub(super) fn listen(options: PgConnectOptions, own: Arc<AtomicI32>) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    let listener = Listener { options, own, sender };
    tokio::spawn(async move {
        tokio::select! {
            () = listener.sender.closed() => {}
            () = listener.again_and_again() => {}
        }
    });
    receiver
}

struct Listener {
    options: PgConnectOptions,
    own: Arc<AtomicI32>,
    sender: watch::Sender<u64>,
}

impl Listener {
    async fn again_and_again(&self) {
        loop {
            if let Err(error) = self.once().await {
                tracing::debug!(%error, "listening to other replicas fails; polling goes on");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Until the connection is lost.
    async fn once(&self) -> sqlx::Result<()> {
        // The listener wants a pool; this one is its own.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(CONNECT)
            .connect_lazy_with(self.options.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        within(CONNECT, listener.listen(CHANNEL)).await?;
        self.sender.send_replace(MISSED);
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(told))) => self.hear(&told),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let alive = sqlx::raw_sql("SELECT 1").execute(&mut listener);
                    within(ALIVE, alive).await?;
                }
            }
        }
    }

    fn hear(&self, told: &PgNotification) {
        let own = self.own.load(Ordering::Relaxed);
        if u32::try_from(own).is_ok_and(|own| own == told.process_id()) {
            return;
        }
        self.sender.send_replace(told.payload().parse().unwrap_or(MISSED));
    }
}
