//! What is PostgreSQL's own: broken rows, opening, plans, several replicas, outages.

use fedsx_testing::postgres::Database;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{Postgres, open};
use crate::store::conformance::direct::fill;

mod opening;
mod outages;
mod plans;
mod proxy;
mod replicas;
mod rows;

/// A database with a store that has one batch in it.
async fn filled() -> (Database, Postgres) {
    let database = Database::create().await;
    let store = open(database.url()).await.unwrap();
    fill(&store).await;
    (database, store)
}

/// A connection that is not the log's.
async fn outside(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn execute(connection: &mut PgConnection, statements: &str) {
    let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
    statements.execute(connection).await.unwrap();
}

/// Ends every connection of the log's to the database.
const DISCONNECT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'fedsx log'";
