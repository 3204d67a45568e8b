//! A store in a schema of its own in a domain's PostgreSQL database.
//!
//! Several processes share it. Whoever freezes inside a transaction loses it within seconds, so that the others wait and
//! go on; whoever loses its connection gets another at the next call.

use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

mod call;
mod retry;

pub use call::{PATIENCE, call};
pub use retry::retried;

use super::{Result, StoreError, driver};
use crate::health::Readiness;

/// The part of readiness that the stores answer for.
const PART: &str = "store";

/// A transaction that says nothing for so long is ended: its process is frozen.
const IDLE_IN_TRANSACTION: &str = "3s";
/// A statement waits for a lock a little longer than that.
const LOCK: &str = "5s";
/// No statement of ours takes so long, unless the database is in trouble.
const STATEMENT: &str = "15s";
/// A migration waits so long for a lock at a time: whatever else is asked of that table queues behind it meanwhile.
const MIGRATION_LOCK: &str = "2s";
/// Between two tries to migrate, whatever else is asked goes on.
const MIGRATION_PAUSE: Duration = Duration::from_secs(3);
/// How long a start tries while others hold what it needs: another replica that migrates, a backup that reads.
const MIGRATION: Duration = Duration::from_secs(60);
/// How long a call waits for a connection.
const WAIT: Duration = Duration::from_secs(5);
/// How long a start waits for a database that is starting too.
const START: Duration = Duration::from_secs(60);
/// One attempt to reach it. A server that is frozen takes connections and says nothing.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Between two attempts to reach it.
const RETRY: Duration = Duration::from_millis(500);

/// How often a database is asked whether it is there, and for how long it may think about it.
const ASK: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(2);

/// Opens a schema, creating it where there is none, and brings it up to date. Safe from several replicas at once, and
/// beside a process of a newer version whose migrations this one does not know.
///
/// # Errors
/// [`StoreError::Driver`] where the database refuses, has not answered within 60 seconds, or others hold what a migration
/// needs for as long.
pub async fn open(
    url: &str,
    schema: &'static str,
    migrations: &Migrator,
    connections: u32,
) -> Result<PgPool> {
    let options = options(url)?
        .application_name(&format!("fedsx {schema}"))
        .log_statements(tracing::log::LevelFilter::Trace)
        .options([
            ("search_path", schema),
            ("synchronous_commit", "on"),
            ("client_min_messages", "warning"),
        ]);
    migrate(&options, schema, migrations).await?;
    let options = options.options([
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ("lock_timeout", LOCK),
        ("statement_timeout", STATEMENT),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
    ]);
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(WAIT)
        .connect_with(options)
        .await
        .map_err(driver("reach the database"))
}

/// Waits for a database that is not there yet, for as long as it takes; meanwhile readiness lacks `store`, and says why.
///
/// # Errors
/// [`StoreError::Driver`] where waiting does not help: the URL is none, or the password is wrong.
pub async fn wait(url: &str, readiness: &Readiness) -> Result<()> {
    let options = options(url)?;
    loop {
        let error = match connect(&options).await {
            Ok(connection) => break connection.close().await.map_err(driver("close a connection"))?,
            Err(error) => error,
        };
        if !passes(&error) {
            return Err(driver("reach the database")(error));
        }
        if !readiness.lacking().contains_key(PART) {
            tracing::info!(%error, "waiting for the database");
        }
        readiness.lacks(PART, format!("the database is not reached: {error}"));
        tokio::time::sleep(RETRY).await;
    }
    readiness.has(PART);
    Ok(())
}

/// Asks the database again and again whether it is there, and keeps readiness informed. For a process whose work would tell
/// by other parts only.
///
/// # Errors
/// [`StoreError::Driver`] where the URL is none.
pub async fn watch(url: &str, readiness: &Readiness) -> Result<()> {
    let options = options(url)?;
    let mut kept = None;
    loop {
        tokio::time::sleep(ASK).await;
        match tokio::time::timeout(ANSWER, ask(&options, kept.take())).await {
            Ok(Ok(connection)) => {
                kept = Some(connection);
                readiness.has(PART);
            }
            Ok(Err(error)) => readiness.lacks(PART, format!("the database is not reached: {error}")),
            Err(_) => readiness.lacks(PART, format!("the database has not answered for {ANSWER:?}")),
        }
    }
}

async fn ask(options: &PgConnectOptions, kept: Option<PgConnection>) -> sqlx::Result<PgConnection> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => options.connect().await?,
    };
    connection.ping().await?;
    Ok(connection)
}

fn options(url: &str) -> Result<PgConnectOptions> {
    url.parse().map_err(driver("read the database's URL"))
}

async fn migrate(options: &PgConnectOptions, schema: &str, migrations: &Migrator) -> Result<()> {
    let options = options.clone().options([("lock_timeout", MIGRATION_LOCK)]);
    let until = Instant::now() + MIGRATION;
    loop {
        match try_migrating(&options, schema, migrations).await {
            Err(error) if is_locked(&error) && Instant::now() < until => {
                tracing::info!(schema, %error, "others hold what the schema's next version needs; trying again");
            }
            done => return done,
        }
        tokio::time::sleep(MIGRATION_PAUSE).await;
    }
}

async fn try_migrating(options: &PgConnectOptions, schema: &str, migrations: &Migrator) -> Result<()> {
    let mut connection = reach(options).await?;
    create(&mut connection, schema).await?;
    let known = Migrator {
        migrations: migrations.migrations.clone(),
        // A newer version's: it keeps them fit for this one.
        ignore_missing: true,
        ..Migrator::DEFAULT
    };
    // Not `run`: its future is `Send` only where the compiler knows the connection's lifetime.
    let run = known.run_direct(None, &mut connection, false).await;
    // What a failed one holds ends with its connection.
    let closed = connection.close().await;
    run.map_err(driver("bring the schema up to date"))?;
    closed.map_err(driver("close a connection"))
}

/// Whether somebody else held a lock for too long (55P03).
fn is_locked(error: &StoreError) -> bool {
    let causes = std::iter::successors(Some(error as &dyn Error), |error| (*error).source());
    let mut database = causes.filter_map(|error| error.downcast_ref::<sqlx::Error>()?.as_database_error());
    database.any(|error| error.code().is_some_and(|code| code == "55P03"))
}

/// Connects to a database that may be starting.
async fn reach(options: &PgConnectOptions) -> Result<PgConnection> {
    let patience = tokio::time::sleep(START);
    tokio::pin!(patience);
    let mut told = false;
    loop {
        let error = match connect(options).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        if !passes(&error) || patience.is_elapsed() {
            return Err(driver("reach the database")(error));
        }
        if !told {
            tracing::info!(%error, "waiting for the database");
            told = true;
        }
        tokio::select! {
            () = &mut patience => return Err(driver("reach the database")(error)),
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let late = |_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(ATTEMPT, options.connect())
        .await
        .unwrap_or_else(late)
}

/// Whether waiting may help: nobody listens yet, or the server is starting (class 57P, and 53300 where it has too many
/// connections).
fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("57P") || code == "53300"),
        _ => false,
    }
}

async fn create(connection: &mut PgConnection, schema: &str) -> Result<()> {
    let statement = format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"");
    match sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut *connection)
        .await
    {
        Ok(_) => Ok(()),
        // `IF NOT EXISTS` sees what is committed; another replica's is found by the catalogue's unique index.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(()),
        Err(error) => Err(driver("create the schema")(error)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_server_that_takes_connections_and_says_nothing_is_tried_again() {
        let frozen = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://postgres@{}/postgres", frozen.local_addr().unwrap());
        let readiness = Readiness::default();
        let tried_again = async {
            let (first, _) = frozen.accept().await.unwrap();
            let (second, _) = frozen.accept().await.unwrap();
            drop((first, second));
        };
        let waited = async {
            tokio::select! {
                ended = wait(&url, &readiness) => panic!("{ended:?}"),
                () = tried_again => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waited)
            .await
            .unwrap();
        assert!(readiness.lacking().contains_key(PART));
    }
}
