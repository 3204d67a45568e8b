//! Connections on which no answer is waited for without end.
//!
//! The server's own time-outs need a server. Of one whose machine vanished in the middle of a statement nothing is ever heard
//! again, not even that the connection is gone: the bound is this side's. A connection on which it was reached is closed.

use std::{
    fmt, io,
    ops::{Deref, DerefMut},
    time::Duration,
};

use fedsx_runtime::database::postgres::PATIENCE;
use futures::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Either, Execute, Executor, PgConnection, PgPool, Postgres as Db, SqlStr,
    pool::PoolConnection,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
    raw_sql,
};
use tokio::{runtime::Handle, time::timeout};

/// How long a connection may take to become fit for the next who needs one.
const RETURN: Duration = Duration::from_secs(5);

type Answer = sqlx::Result<Either<PgQueryResult, PgRow>>;

/// The connections of a process. Cheap to clone. As an executor, each statement is a transaction of its own.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pool: PgPool,
    patience: Duration,
}

impl Pool {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            patience: PATIENCE,
        }
    }

    #[cfg(test)]
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// A connection, which is waited for as long as the pool says.
    pub(super) async fn acquire(&self) -> sqlx::Result<Connection> {
        Ok(Connection {
            connection: Some(self.pool.acquire().await?),
            patience: self.patience,
            is_open: false,
        })
    }

    /// A transaction that is begun so.
    pub(super) async fn begin(&self, begin: &'static str) -> sqlx::Result<Transaction> {
        let mut connection = self.acquire().await?;
        connection.is_open = true;
        connection.execute(raw_sql(begin)).await?;
        Ok(Transaction(connection))
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A connection of the pool. Dropped, it goes back, if it still answers.
pub(super) struct Connection {
    /// None: gone back.
    connection: Option<PoolConnection<Db>>,
    patience: Duration,
    /// A transaction may be open.
    is_open: bool,
}

impl Connection {
    fn inner(&mut self) -> sqlx::Result<&mut PgConnection> {
        let connection = self.connection.as_deref_mut();
        connection.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected).into())
    }

    async fn end(&mut self, end: &'static str) -> sqlx::Result<()> {
        self.execute(raw_sql(end)).await?;
        self.is_open = false;
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let is_open = self.is_open;
        let back = async move {
            let rollback =
                async |connection: &mut PgConnection| raw_sql("ROLLBACK").execute(connection).await;
            if is_open && within(RETURN, rollback(&mut connection)).await.is_err() {
                // Closed; left to itself, it would be asked whether it is well, and waited for without a bound.
                drop(connection.detach());
            } else {
                let _ = timeout(RETURN, connection.return_to_pool()).await;
            }
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(back);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

/// A transaction. Dropped, it is rolled back.
#[derive(Debug)]
pub(super) struct Transaction(Connection);

impl Transaction {
    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        self.0.end("COMMIT").await
    }

    pub(super) async fn rollback(mut self) -> sqlx::Result<()> {
        self.0.end("ROLLBACK").await
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

fn late() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}

async fn within<T>(patience: Duration, answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    timeout(patience, answer).await.unwrap_or_else(|_| Err(late()))
}

/// Answers, as long as each comes in time.
fn each_within<'e>(patience: Duration, answers: BoxStream<'e, Answer>) -> BoxStream<'e, Answer> {
    let next = move |answers: Option<BoxStream<'e, Answer>>| async move {
        let mut answers = answers?;
        match timeout(patience, answers.next()).await {
            Ok(answer) => Some((answer?, Some(answers))),
            Err(_) => Some((Err(late()), None)),
        }
    };
    stream::unfold(Some(answers), next).boxed()
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Db;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Answer>
    where
        'c: 'e,
        E: 'q + Execute<'q, Db>,
    {
        let patience = self.patience;
        match self.inner() {
            Ok(connection) => each_within(patience, connection.fetch_many(query)),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Db>,
    {
        let patience = self.patience;
        Box::pin(async move { within(patience, self.inner()?.fetch_optional(query)).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        let patience = self.patience;
        Box::pin(async move { within(patience, self.inner()?.prepare_with(sql, parameters)).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Db>>>
    where
        'c: 'e,
    {
        let patience = self.patience;
        Box::pin(async move { within(patience, self.inner()?.describe(sql)).await })
    }
}

impl<'c> Executor<'c> for &'c Pool {
    type Database = Db;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Answer>
    where
        'c: 'e,
        E: 'q + Execute<'q, Db>,
    {
        let answers = async move {
            match self.acquire().await {
                Ok(mut connection) => connection.fetch_many(query).collect().await,
                Err(error) => vec![Err(error)],
            }
        };
        stream::once(answers).flat_map(stream::iter).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Db>,
    {
        Box::pin(async move { self.acquire().await?.fetch_optional(query).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        Box::pin(async move { self.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Db>>>
    where
        'c: 'e,
    {
        Box::pin(async move { self.acquire().await?.describe(sql).await })
    }
}
