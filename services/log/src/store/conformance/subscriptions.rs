//! Subscriptions.

use std::time::Duration;

use fedsx_proto::v1::SubscribeResponse;
use fedsx_runtime::code::Code;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::Status;

use super::{
    Backend,
    harness::{BOB, Log, inbox, received},
};
use crate::Tuning;

type Batches = ReceiverStream<Result<SubscribeResponse, Status>>;

async fn append(log: &Log, ids: std::ops::Range<u32>) {
    for id in ids {
        log.append(inbox(BOB, &[received(BOB, &id.to_string(), "hello")]))
            .await
            .unwrap();
    }
}

async fn next(batches: &mut Batches) -> SubscribeResponse {
    let batch = tokio::time::timeout(Duration::from_secs(120), batches.next()).await;
    batch
        .expect("nothing came")
        .expect("the subscription ended")
        .unwrap()
}

/// Positions up to the batch that says that there is no more, and its head.
async fn up_to_date(batches: &mut Batches) -> (Vec<u64>, u64) {
    let mut positions = Vec::new();
    loop {
        let batch = next(batches).await;
        if batch.entries.is_empty() {
            return (positions, batch.head);
        }
        positions.extend(batch.entries.iter().map(|entry| entry.position));
    }
}

async fn positions(batches: &mut Batches, count: usize) -> Vec<u64> {
    let mut positions = Vec::new();
    while positions.len() < count {
        let batch = next(batches).await;
        assert!(!batch.entries.is_empty(), "told twice that there is no more");
        positions.extend(batch.entries.iter().map(|entry| entry.position));
    }
    positions
}

pub(super) async fn what_is_there_then_what_comes(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    let mut empty = log.subscribe(0).await.unwrap();
    assert_eq!(up_to_date(&mut empty).await, (vec![], 0));
    append(&log, 0..3).await;
    assert_eq!(positions(&mut empty, 3).await, [1, 2, 3]);
    let mut later = log.subscribe(1).await.unwrap();
    assert_eq!(up_to_date(&mut later).await, (vec![2, 3], 3));
    append(&log, 3..6).await;
    assert_eq!(positions(&mut later, 3).await, [4, 5, 6]);
    assert_eq!(positions(&mut empty, 3).await, [4, 5, 6]);
    log.stop().await;
    assert!(empty.next().await.is_none());
}

pub(super) async fn a_subscription_goes_on_after_a_restart(backend: &impl Backend) {
    let mut cursor = 0;
    for round in 0..3 {
        let log = Log::start(backend.open().await).await;
        let mut batches = log.subscribe(cursor).await.unwrap();
        append(&log, round * 4..round * 4 + 4).await;
        let mut seen = Vec::new();
        while seen.len() < 4 {
            seen.extend(
                next(&mut batches)
                    .await
                    .entries
                    .iter()
                    .map(|entry| entry.position),
            );
        }
        assert_eq!(seen, (cursor + 1..=cursor + 4).collect::<Vec<_>>());
        cursor += 4;
        log.stop().await;
    }
}

pub(super) async fn what_another_process_appends_is_seen(backend: &impl Backend) {
    let tuning = Tuning {
        poll: Duration::from_millis(20),
        ..Tuning::default()
    };
    let reader = Log::try_start(backend.open().await, tuning).await.unwrap();
    let mut batches = reader.subscribe(0).await.unwrap();
    assert_eq!(up_to_date(&mut batches).await, (vec![], 0));
    // Another service on the same store: nothing tells the reader but its poll.
    let writer = Log::start(backend.open().await).await;
    append(&writer, 0..3).await;
    assert_eq!(positions(&mut batches, 3).await, [1, 2, 3]);
    // And both may write.
    append(&reader, 3..5).await;
    append(&writer, 5..6).await;
    assert_eq!(positions(&mut batches, 3).await, [4, 5, 6]);
}

pub(super) async fn a_slow_consumer_gets_everything_in_bounded_batches(backend: &impl Backend) {
    let tuning = Tuning {
        subscribe_entries: 7,
        subscribe_bytes: 2000,
        ..Tuning::default()
    };
    let log = Log::try_start(backend.open().await, tuning).await.unwrap();
    let mut batches = log.subscribe(0).await.unwrap();
    append(&log, 0..40).await;
    let mut seen = Vec::new();
    while seen.len() < 40 {
        let batch = next(&mut batches).await;
        let bytes: usize = batch.entries.iter().map(|entry| entry.body.len()).sum();
        // One more than the bound may be needed to pass it.
        assert!(
            batch.entries.len() <= 7 && bytes <= 2000 + 300,
            "{} entries, {bytes} bytes",
            batch.entries.len()
        );
        seen.extend(batch.entries.iter().map(|entry| entry.position));
    }
    assert_eq!(seen, (1..=40).collect::<Vec<_>>());
}

pub(super) async fn a_cursor_beyond_the_log_is_refused(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    append(&log, 0..2).await;
    assert!(log.subscribe(2).await.is_ok());
    assert_eq!(log.subscribe(3).await.err().unwrap().code, Code::Malformed);
}
