//! Several processes, and a database that goes away.

use fedsx_kernel::delivery::claim::CLAIM;
use fedsx_testing::postgres::Server;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::*;
use crate::ledger::{
    Claims as _, Leases as _, Queries as _,
    conformance::{delivery, token},
};

#[tokio::test]
async fn processes_that_start_together_found_one_ledger() {
    let database = Database::create().await;
    let ledgers = join_all((0..5).map(|_| open(database.url()))).await;
    let mut names = Vec::new();
    for ledger in ledgers {
        names.push(ledger.unwrap().cursor().await.unwrap().ledger);
    }
    names.dedup();
    assert_eq!(names.len(), 1);
}

/// What a call answered is there after the database was killed, and the ledger goes on by itself.
#[tokio::test]
async fn a_database_that_was_killed_has_forgotten_nothing_that_matters() {
    let mut server = Server::start().await;
    let ledger = open(server.url()).await.unwrap();
    let lanes = insert(&ledger, &[delivery("peer/one", 1), delivery("peer/two", 1)]).await;
    let claim = ledger.claim(&lanes[..1], &token(1)).await.unwrap().remove(0);
    server.kill9();
    assert!(ledger.pending().await.is_err());
    server.start_again().await;
    let begun = Instant::now();
    // Connections that the kill has cut are given up one by one.
    let claims = loop {
        match ledger.claim(&lanes, &token(2)).await {
            Ok(claims) => break claims,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(
        conformance::ids(&claims),
        [lanes[1]],
        "the first is claimed until {}",
        claim.at + CLAIM
    );
    assert_eq!(ledger.pending().await.unwrap(), 2);
}
