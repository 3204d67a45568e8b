use serde_json::json;

use super::*;
use crate::testing::{ALICE, BOB, Story, entry, log::TestLog, node::eventually, note, warnings::Warnings};

const NONE: [u64; 0] = [];

/// A log of so many notes of bob's, and one Follow at its end.
fn log(notes: u32) -> TestLog {
    let mut story = Story::default();
    for serial in 0..notes {
        story.received(
            BOB,
            json!({"type": "Create", "object": {"type": "Note"}, "serial": serial}),
        );
    }
    story.received(BOB, json!({"type": "Follow", "object": ALICE}));
    TestLog::new(&story)
}

/// Interested in Follows alone.
fn read(log: &TestLog, after: u64) -> Reader {
    let source = log.source();
    let interest = Interest::new(|_, verb| verb == "Follow");
    Reader::start(source, interest, References::Leave, after)
}

/// Reads on to a position; batches and the positions that were of interest.
async fn read_to(reader: &mut Reader, last: u64) -> (usize, Vec<u64>) {
    let (mut batches, mut positions) = (0, Vec::new());
    while reader.cursor < last {
        let from = reader.cursor;
        let batch = reader.next().await.unwrap();
        assert_eq!((batch.after, batch.last), (from, reader.cursor));
        assert!(batch.last > batch.after && batch.head >= batch.last);
        positions.extend(batch.items.iter().map(|item| item.position));
        batches += 1;
    }
    (batches, positions)
}

fn like(log: &TestLog) -> u64 {
    log.append(
        &format!("inbox/{BOB}"),
        BOB,
        json!({"type": "Like", "object": ALICE, "serial": log.head()}),
    );
    log.head()
}

#[tokio::test]
async fn what_is_there_already_comes_in_large_batches() {
    let mut reader = read(&log(2000), 3);
    let (batches, positions) = read_to(&mut reader, 2001).await;
    assert_eq!(positions, [2001]);
    // The log sends seven at once.
    assert!(batches < 100, "{batches} batches");
}

#[tokio::test]
async fn what_grows_when_it_is_parsed_comes_in_smaller_batches() {
    let log = log(0);
    let tags = vec![json!({"": [{}]}); 5000];
    for _ in 0..12 {
        log.append(
            &format!("inbox/{BOB}"),
            BOB,
            json!({"type": "Follow", "object": ALICE, "tag": tags, "serial": log.head()}),
        );
    }
    let mut reader = read(&log, 0);
    let (batches, positions) = read_to(&mut reader, 13).await;
    assert_eq!(positions, (1..=13).collect::<Vec<_>>());
    assert!(batches >= 3, "{batches} batches");
}

#[tokio::test]
async fn what_comes_later_comes_too() {
    let log = log(0);
    let mut reader = read(&log, 0);
    assert_eq!(read_to(&mut reader, 1).await.1, [1]);
    for _ in 0..5 {
        let head = like(&log);
        assert_eq!(read_to(&mut reader, head).await.1, NONE);
    }
}

#[tokio::test]
async fn a_log_that_ends_the_subscription_is_subscribed_to_again_in_silence() {
    let (log, warnings) = (log(10), Warnings::listen());
    let mut reader = read(&log, 0);
    read_to(&mut reader, 11).await;
    for round in 1..=2 {
        log.end_subscriptions();
        let head = like(&log);
        assert_eq!(read_to(&mut reader, head).await.1, NONE);
        assert_eq!(log.subscriptions(), round + 1);
    }
    assert_eq!(warnings.count(), 0);
}

#[tokio::test]
async fn an_outage_is_told_once_and_waited_for() {
    let (log, warnings) = (log(10), Warnings::listen());
    let mut reader = read(&log, 0);
    read_to(&mut reader, 11).await;
    log.be_away(true);
    log.end_subscriptions();
    eventually("told", async || warnings.count() == 1).await;
    let head = like(&log);
    assert!(timeout_at(Instant::now() + PACE, reader.next()).await.is_err());
    log.be_away(false);
    assert_eq!(read_to(&mut reader, head).await.1, NONE);
    assert_eq!((warnings.count(), log.subscriptions()), (1, 2));
}

#[tokio::test]
async fn a_log_that_stays_away_ends_the_reader() {
    let log = log(10);
    let source = Source {
        patience: Duration::ZERO,
        ..log.source()
    };
    let interest = Interest::new(|_, _| true);
    let mut reader = Reader::start(source, interest, References::Leave, 0);
    read_to(&mut reader, 11).await;
    log.be_away(true);
    log.end_subscriptions();
    assert!(reader.next().await.is_err());
}

#[tokio::test]
async fn a_gap_ends_the_reader() {
    let log = log(1);
    log.push(|position| entry(position + 1, "domain", &note()));
    let mut reader = read(&log, 2);
    let error = reader.next().await.unwrap_err();
    assert!(matches!(error, SourceError::Gap { after: 2, sent: 4 }), "{error}");
}

#[tokio::test]
async fn what_is_damaged_and_of_no_interest_is_passed_over() {
    let log = log(0);
    for body in [r#"{"type": "Like"}"#, r#"{"type": "Like"#] {
        log.push(|position| fedsx_proto::v1::Entry {
            body: body.as_bytes().into(),
            ..entry(position, "domain", &note())
        });
    }
    let mut reader = read(&log, 1);
    let batch = reader.next().await.unwrap();
    let unreadable: Vec<u64> = batch.items.iter().map(|item| item.position).collect();
    // What may be a Follow is looked at.
    assert_eq!(unreadable, [3]);
    assert!(batch.items[0].content.is_err());
}
