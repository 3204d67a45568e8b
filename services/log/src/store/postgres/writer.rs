//! The connection that writes: one for all batches, kept open between them, so that a batch costs no round trip but its own.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use fedsx_runtime::database::{Result, StoreError, driver, postgres::PATIENCE};
use sqlx::{
    Connection as _, Execute, Executor as _, PgConnection, Postgres,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often the lock is waited for. Each time lasts longer than a frozen holder is borne, and there may be a few in line.
const ATTEMPTS: usize = 4;

const BEGIN: &str = "BEGIN; SELECT id FROM head FOR UPDATE";

type Slot = Mutex<Option<PgConnection>>;

/// Whoever wants to write waits for it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    options: Arc<PgConnectOptions>,
    slot: Arc<Slot>,
    /// The server's process at the connection's other end.
    process: Arc<AtomicI32>,
}

impl Writer {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self {
            options: Arc::new(options),
            slot: Arc::default(),
            process: Arc::default(),
        }
    }

    /// The number of the process that the server's notifications of our own commits come from.
    pub(super) fn process(&self) -> Arc<AtomicI32> {
        Arc::clone(&self.process)
    }

    /// Begins a transaction and locks the head. Nothing has been written when that fails, so it is tried again: on a new
    /// connection where the old one is lost, and a few times where the lock could not be had.
    pub(super) async fn begin(&self) -> Result<Held> {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        let mut attempts = 0;
        loop {
            let kept = slot.take();
            let was_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            attempts += 1;
            match within(PATIENCE, connection.fetch_all(sqlx::raw_sql(BEGIN))).await {
                Ok(locked) => return Held::new(slot, connection, &locked),
                Err(error) if attempts < ATTEMPTS && is_locked(&error) => {
                    tracing::warn!(%error, "another replica holds the log's head; waiting for it again");
                }
                Err(error) if was_kept => tracing::debug!(%error, "the connection that writes is replaced"),
                Err(error) => return Err(driver("begin a batch")(error)),
            }
        }
    }

    async fn connect(&self) -> Result<PgConnection> {
        let connected = within(CONNECT, async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            let process = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection);
            self.process.store(process.await?, Ordering::Relaxed);
            Ok(connection)
        });
        connected.await.map_err(driver("reach the database"))
    }

    /// Closes the connection, once no batch holds it.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.slot.lock().await.take() {
            // The server finds out by itself.
            let _ = within(CONNECT, connection.close()).await;
        }
    }
}

/// Whether the head's lock could not be had in time, or the database broke up a deadlock (55P03, 40P01).
fn is_locked(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

/// The work's outcome, unless that takes longer than the time.
pub(super) async fn within<T>(
    time: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    let late = |_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
    timeout(time, work).await.unwrap_or_else(late)
}

/// The connection, in a transaction that holds the head. Dropped, it rolls back.
///
/// A connection that has failed, or was dropped before it answered, is closed: the server rolls back then, too.
pub(super) struct Held {
    /// None: given back.
    slot: Option<OwnedMutexGuard<Option<PgConnection>>>,
}

impl Held {
    fn new(
        mut slot: OwnedMutexGuard<Option<PgConnection>>,
        connection: PgConnection,
        locked: &[PgRow],
    ) -> Result<Self> {
        if locked.is_empty() {
            return Err(StoreError::Corrupt {
                table: "head",
                column: "id",
                key: "1".to_owned(),
                problem: "the row is missing, and without it nothing can be locked".to_owned(),
            });
        }
        *slot = Some(connection);
        Ok(Self { slot: Some(slot) })
    }

    /// Runs statements in the transaction.
    pub(super) async fn run<'q, E>(&mut self, statements: E, action: &'static str) -> Result<Vec<PgRow>>
    where
        E: Execute<'q, Postgres> + 'q,
    {
        let lost = || driver(action)("the connection was lost before");
        let slot = self.slot.as_mut().ok_or_else(lost)?;
        let mut connection = slot.take().ok_or_else(lost)?;
        let found = within(PATIENCE, connection.fetch_all(statements)).await;
        let found = found.map_err(driver(action))?;
        **slot = Some(connection);
        Ok(found)
    }

    /// Gives the connection back: its transaction has ended.
    pub(super) fn ended(mut self) {
        self.slot = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mut slot) = self.slot.take() else { return };
        let Some(mut connection) = slot.take() else { return };
        // Nobody begins before the answer is there: the connection's place is held until then.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let ended = within(PATIENCE, connection.fetch_all(sqlx::raw_sql("ROLLBACK"))).await;
                *slot = ended.is_ok().then_some(connection);
            });
        }
    }
}
