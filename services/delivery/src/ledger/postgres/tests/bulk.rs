//! What is more than one statement takes.

use fedsx_kernel::delivery::row::DeliveryState;

use super::*;
use crate::ledger::{
    Claims as _, Queries as _,
    conformance::{delivery, origin, token},
};

/// More than the lanes of a statement; with two rows each, their rows are more than those of one, too.
const MANY: u64 = 20_010;

#[tokio::test]
async fn however_many_lanes_and_rows_there_are_they_become_due_and_end_together() {
    let (_database, ledger) = fresh().await;
    let row = |number: u64, position| delivery(&format!("peer/{number}"), position);
    let mut rows: Vec<_> = (1..=2)
        .flat_map(|position| (0..MANY).map(move |number| row(number, position)))
        .collect();
    rows.push(row(0, 3));
    let lanes = insert(&ledger, &rows).await;
    assert_eq!(lanes.len() as u64, MANY);
    assert_eq!(ledger.lanes_due().await.unwrap(), MANY);
    let mut turn = ledger.turn().await.unwrap();
    turn.end_pending(&origin("peer"), 2, DeliveryState::Dead, "")
        .await
        .unwrap();
    turn.commit().await.unwrap();
    assert_eq!(ledger.pending().await.unwrap(), 1);
    assert_eq!(ledger.lanes_due().await.unwrap(), 1);
    let claim = ledger.claim(&lanes, &token(1)).await.unwrap().remove(0);
    assert_eq!(conformance::positions(&claim), [3]);
}
