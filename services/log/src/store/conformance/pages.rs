//! Reads.

use fedsx_proto::v1::{Entry, ReadRequest, get_request::By};
use fedsx_runtime::code::Code;

use super::{
    Backend,
    harness::{ALICE, BOB, Log, inbox, note, received},
};

/// The base's and alice's public Creates at 1 and 2; at 3, 4, … alice's notes, every second one public, each followed by
/// one that was received.
async fn filled(backend: &impl Backend, notes: usize) -> Log {
    let log = Log::with_actors(backend.open().await).await;
    for turn in 0..notes {
        log.publish("alice", &note(&turn.to_string(), turn % 2 == 0), "")
            .await
            .unwrap();
        log.append(inbox(BOB, &[received(BOB, &turn.to_string(), "hello")]))
            .await
            .unwrap();
    }
    log
}

async fn positions(log: &Log, request: ReadRequest) -> Vec<u64> {
    let page = log.read(request).await.unwrap();
    page.entries.iter().map(|entry| entry.position).collect()
}

pub(super) async fn pages_go_both_ways(backend: &impl Backend) {
    let log = filled(backend, 3).await;
    let page = |descending, from, limit| ReadRequest {
        descending,
        from,
        limit,
        ..ReadRequest::default()
    };
    assert_eq!(positions(&log, page(false, 0, 3)).await, [1, 2, 3]);
    assert_eq!(positions(&log, page(false, 6, 3)).await, [7, 8]);
    assert_eq!(positions(&log, page(false, 8, 3)).await, [0; 0]);
    assert_eq!(positions(&log, page(true, 0, 3)).await, [8, 7, 6]);
    assert_eq!(positions(&log, page(true, 3, 3)).await, [2, 1]);
    assert_eq!(positions(&log, page(false, 0, 0)).await.len(), 8);
    assert_eq!(positions(&log, page(false, u64::MAX, 3)).await, [0; 0]);
    assert_eq!(log.read(page(false, 0, 1)).await.unwrap().head, 8);
    assert_eq!(
        log.read(page(false, 0, 1001)).await.unwrap_err().code,
        Code::Malformed
    );
}

pub(super) async fn pages_of_the_public_only(backend: &impl Backend) {
    let log = filled(backend, 3).await;
    let page = |stream: &str, descending| ReadRequest {
        stream: stream.to_owned(),
        public_only: true,
        descending,
        ..ReadRequest::default()
    };
    let outbox = format!("outbox/{ALICE}");
    assert_eq!(positions(&log, page(&outbox, false)).await, [3, 7]);
    assert_eq!(positions(&log, page(&outbox, true)).await, [7, 3]);
    assert_eq!(positions(&log, page("", true)).await, [7, 3, 2, 1]);
    assert_eq!(positions(&log, page(&format!("inbox/{BOB}"), true)).await, [0; 0]);
    let all = ReadRequest {
        stream: outbox,
        ..ReadRequest::default()
    };
    assert_eq!(positions(&log, all).await, [3, 5, 7]);
}

pub(super) async fn positions_are_answered_exactly(backend: &impl Backend) {
    let log = filled(backend, 3).await;
    let at = |positions: &[u64]| ReadRequest {
        positions: positions.to_vec(),
        stream: "ignored".to_owned(),
        limit: 1,
        ..ReadRequest::default()
    };
    assert_eq!(positions(&log, at(&[5, 2, 99, 7, 2])).await, [2, 5, 7]);
    assert_eq!(log.read(at(&[1; 1001])).await.unwrap_err().code, Code::Malformed);
}

pub(super) async fn totals_count_the_filter(backend: &impl Backend) {
    let log = filled(backend, 3).await;
    let total = async |stream: &str, public_only, count| {
        let request = ReadRequest {
            stream: stream.to_owned(),
            public_only,
            count,
            limit: 1,
            ..ReadRequest::default()
        };
        log.read(request).await.unwrap().total
    };
    let outbox = format!("outbox/{ALICE}");
    assert_eq!(total("", false, true).await, 8);
    assert_eq!(total("", true, true).await, 4);
    assert_eq!(total(&outbox, false, true).await, 3);
    assert_eq!(total(&outbox, true, true).await, 2);
    assert_eq!(total("flow/none", true, true).await, 0);
    assert_eq!(total("", false, false).await, 0);
}

pub(super) async fn a_page_is_bounded_in_bytes(backend: &impl Backend) {
    let log = Log::start(backend.open().await).await;
    let body = "x".repeat(1_000_000);
    for turn in 0..20 {
        log.append(inbox(BOB, &[received(BOB, &turn.to_string(), &body)]))
            .await
            .unwrap();
    }
    let first = positions(
        &log,
        ReadRequest {
            limit: 100,
            ..ReadRequest::default()
        },
    )
    .await;
    assert_eq!(first, (1..=17).collect::<Vec<_>>());
    let rest = positions(
        &log,
        ReadRequest {
            limit: 100,
            from: 17,
            ..ReadRequest::default()
        },
    )
    .await;
    assert_eq!(rest, [18, 19, 20]);
    let newest = ReadRequest {
        limit: 100,
        descending: true,
        ..ReadRequest::default()
    };
    assert_eq!(positions(&log, newest).await, (4..=20).rev().collect::<Vec<_>>());
    let at = ReadRequest {
        positions: (1..=20).collect(),
        ..ReadRequest::default()
    };
    assert_eq!(positions(&log, at).await.len(), 17);
}

pub(super) async fn entries_are_found_by_each_of_their_names(backend: &impl Backend) {
    let log = filled(backend, 1).await;
    let entries: Vec<Entry> = log.all().await;
    for entry in &entries {
        for by in [
            By::Position(entry.position),
            By::Cid(entry.cid.clone()),
            By::ActivityId(entry.activity_id.clone()),
        ] {
            assert_eq!(&log.get(by).await.unwrap(), entry);
        }
    }
    for by in [
        By::Position(99),
        By::Cid("none".to_owned()),
        By::ActivityId("none".to_owned()),
        By::Cid("\u{0}".to_owned()),
        By::ActivityId("\u{0}".to_owned()),
    ] {
        assert_eq!(log.get(by).await.unwrap_err().code, Code::NotFound);
    }
}
