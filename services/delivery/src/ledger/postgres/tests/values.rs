//! What strangers write, and what nobody should have written.

use fedsx_kernel::delivery::outcome::Outcome;

use super::*;
use crate::ledger::{
    Claims as _, Filter, Queries as _, Records as _,
    conformance::{delivery, origin, token},
};

#[tokio::test]
async fn what_quotes_a_stranger_is_written_and_asked_for() {
    let (_database, ledger) = fresh().await;
    let mut row = delivery("peer", 1);
    row.trace.push('\0');
    let lanes = insert(&ledger, &[row]).await;
    let claim = ledger.claim(&lanes, &token(1)).await.unwrap().remove(0);
    ledger
        .record(&[report(&claim, Outcome::Refused, "no\0body")])
        .await
        .unwrap();
    let rows = ledger.list(&Filter::default(), None, 10).await.unwrap();
    assert_eq!(rows[0].cause, "no\u{fffd}body");
    let nobodys = Filter {
        cid: Some("\0".to_owned()),
        address: Some("\0".to_owned()),
        ..Filter::default()
    };
    assert!(ledger.list(&nobodys, None, 10).await.unwrap().is_empty());
    let key = crate::ledger::RelationKey {
        actor: conformance::ALICE.to_owned(),
        follower: "https://peer.example/\0".to_owned(),
        origin: origin("peer"),
    };
    let mut turn = ledger.turn().await.unwrap();
    assert!(
        turn.relations(std::slice::from_ref(&key))
            .await
            .unwrap()
            .is_empty()
    );
    let named = [key.follower.clone()];
    let members = crate::ledger::Members {
        actor: &key.follower,
        position: 1,
        whom: crate::ledger::Whom::All(&named),
        origin: None,
    };
    assert!(turn.members(members).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_corrupt_row_is_named() {
    let (_database, ledger) = fresh().await;
    insert(&ledger, &[delivery("peer", 1)]).await;
    let mut connection = ledger.pool.acquire().await.unwrap();
    execute(&mut connection, "UPDATE delivery SET state = 'lost'").await;
    let error = ledger.list(&Filter::default(), None, 1).await.unwrap_err();
    assert!(error.is_corrupt());
    assert!(
        error
            .to_string()
            .starts_with("corrupt row in table `delivery`, column `state`, key \"lane 1, position 1\""),
        "{error}"
    );
}
