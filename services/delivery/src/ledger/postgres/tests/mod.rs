mod bulk;
mod chaos;
mod locks;
mod plans;
mod processes;
mod turns;
mod values;
mod vanished;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use fedsx_kernel::delivery::outcome::Outcome;
use fedsx_runtime::clock::ManualClock;
use fedsx_testing::postgres::Database;
use jiff::SignedDuration;
use sqlx::AssertSqlSafe;

use super::{connection::Connection, *};
use crate::{
    lane::LaneId,
    ledger::{Attempt, Claim, Ledger, NewDelivery, Report, Turns as _, conformance},
};

/// Far longer than anything takes that happens at all.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn it_conforms() {
    let databases = Mutex::new(Vec::new());
    conformance::run(|clock: ManualClock| {
        let databases = &databases;
        async move {
            let database = Database::create().await;
            let ledger = open(database.url()).await.unwrap();
            databases.lock().unwrap().push(database);
            Arc::new(ledger.with_clock(Arc::new(clock))) as Arc<dyn Ledger>
        }
    })
    .await;
}

/// A database and a ledger in it.
async fn fresh() -> (Database, Postgres) {
    let database = Database::create().await;
    let ledger = open(database.url()).await.unwrap();
    (database, ledger)
}

/// A transaction that keeps its locks until it ends: whoever waits for them fails by the database's `lock_timeout`.
async fn holder(ledger: &Postgres) -> Transaction {
    let mut holder = ledger.begin(Durability::Durable).await.unwrap();
    execute(&mut holder, "SET LOCAL idle_in_transaction_session_timeout = 0").await;
    holder
}

/// Writes rows, answering the lanes to be told of.
async fn insert(ledger: &Postgres, rows: &[NewDelivery]) -> Vec<LaneId> {
    let mut turn = ledger.turn().await.unwrap();
    let due = turn.insert(rows).await.unwrap();
    turn.commit().await.unwrap();
    conformance::lanes(&due)
}

/// Runs statements that are no store's.
async fn execute(connection: &mut Connection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap();
}

/// What a claim's first delivery brought; the claim ends.
fn report(claim: &Claim, outcome: Outcome, cause: &str) -> Report {
    let attempt = Attempt {
        position: claim.owed[0].position,
        outcome,
        at: claim.at,
        actor: None,
        status: 202,
        cause: cause.to_owned(),
        jitter: 0.0,
    };
    Report {
        lane: claim.lane.id,
        token: claim.token.clone(),
        attempts: vec![attempt],
        release: true,
        pause: SignedDuration::ZERO,
    }
}
