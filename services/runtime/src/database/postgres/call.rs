//! Calls that end, whatever becomes of the database's machine.
//!
//! The limits that a connection is opened with are the server's to keep. Where its machine is gone without a word, nobody
//! keeps them, and nothing ever comes on a connection that waits for an answer.

use std::{io, time::Duration};

use sqlx::{Connection as _, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{runtime::Handle, time::timeout};

use crate::database::{Result, driver};

/// How long a call may take: longer than the database gives a statement, after which its machine is gone.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection on which a call was given up may take to come to its end.
const FLUSH: Duration = Duration::from_secs(5);

/// Makes a call on a connection of the pool. One that takes longer than `patience` has failed; whether what it asked for was
/// done is unknown. Its connection is closed, and the next call gets another.
///
/// # Errors
/// Those of the call; [`StoreError::Driver`](crate::database::StoreError) where there is no connection, or no answer in time.
pub async fn call<T>(
    pool: &PgPool,
    patience: Duration,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
) -> Result<T> {
    let acquired = pool.acquire().await.map_err(driver("reach the database"))?;
    let mut lent = Lent(Some(acquired));
    let Some(connection) = &mut lent.0 else {
        return Err(driver("reach the database")("the connection was lost before"));
    };
    match timeout(patience, work(connection)).await {
        Ok(done) => {
            // The pool looks after it itself.
            drop(lent.0.take());
            done
        }
        Err(_) => {
            connection.close_on_drop();
            drop(lent.0.take());
            Err(driver("answer in time")(io::Error::from(io::ErrorKind::TimedOut)))
        }
    }
}

/// A connection under a call. Where the call is dropped before its answer, the answer is still waited for, so that the
/// connection can be used again; but not for ever, as the pool would.
struct Lent(Option<PoolConnection<Postgres>>);

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut connection) = self.0.take() else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if !matches!(timeout(FLUSH, connection.ping()).await, Ok(Ok(()))) {
                connection.close_on_drop();
            }
        });
    }
}
