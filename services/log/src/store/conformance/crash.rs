//! Crashes: at every call that the log makes to its store, in turn.

use std::{collections::BTreeMap, sync::Arc};

use fedsx_kernel::activity::Activity;
use fedsx_proto::v1::{Entry, ReadRequest, append_response, get_request::By, publish_response};
use fedsx_runtime::code::Code;
use futures::future::join_all;

use super::{
    Backend,
    faults::{Fault, Faulty},
    harness::{Answer, BOB, Log, assert_gapless, create_base, create_person, inbox, note, put, received},
    sealing::assert_chain,
};
use crate::{Tuning, store::Store};

/// A write that is the same when it is asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Write {
    Base,
    Alice,
    Note(u32),
    Received(u32),
    /// Received, and a first put of kv with it.
    Counted(u32),
}

/// Waves of writes at once; each needs what stands before it.
fn waves() -> Vec<Vec<Write>> {
    vec![
        vec![Write::Base, Write::Received(0)],
        vec![Write::Alice, Write::Counted(1), Write::Received(2)],
        vec![Write::Note(3), Write::Note(4), Write::Counted(5)],
        vec![Write::Note(6)],
    ]
}

/// Where the write stands, once it is answered.
async fn write(log: &Log, write: Write) -> Answer<(u64, String)> {
    match write {
        Write::Base => publish(log, "", &create_base(), "base").await,
        Write::Alice => publish(log, "", &create_person("alice"), "alice").await,
        Write::Note(id) => publish(log, "alice", &note(&id.to_string(), id % 2 == 0), &id.to_string()).await,
        Write::Received(id) => append(log, id, false).await,
        Write::Counted(id) => append(log, id, true).await,
    }
}

async fn publish(log: &Log, actor: &str, draft: &serde_json::Value, key: &str) -> Answer<(u64, String)> {
    match log.publish(actor, draft, key).await? {
        publish_response::Outcome::Appended(placed) => Ok((placed.position, placed.cid)),
        publish_response::Outcome::Duplicate(placed) => Ok((placed.position, placed.cid)),
        outcome @ publish_response::Outcome::KvConflict(_) => panic!("{outcome:?}"),
    }
}

async fn append(log: &Log, id: u32, counted: bool) -> Answer<(u64, String)> {
    let mut request = inbox(BOB, &[received(BOB, &id.to_string(), "hello")]);
    if counted {
        request.kv = vec![put(&id.to_string(), "1", Some(0))];
        "peer".clone_into(&mut request.kv[0].space);
    }
    match log.append(request).await? {
        append_response::Outcome::Appended(placed) => Ok((placed.position, placed.cid)),
        append_response::Outcome::Duplicate(placed) => Ok((placed.position, placed.cid)),
        outcome => panic!("{outcome:?}"),
    }
}

/// Writes everything until the first failure of a wave, then reads; what was acknowledged.
async fn work(log: &Log, acknowledged: &mut BTreeMap<Write, (u64, String)>) -> bool {
    for wave in waves() {
        let open: Vec<_> = wave
            .into_iter()
            .filter(|write| !acknowledged.contains_key(write))
            .collect();
        let answers = join_all(open.iter().map(|one| write(log, *one))).await;
        let mut failed = false;
        for (one, answer) in open.into_iter().zip(answers) {
            match answer {
                Ok(placed) => drop(acknowledged.insert(one, placed)),
                Err(refusal) => {
                    assert_eq!(refusal.code, Code::Unavailable, "{one:?}: {refusal}");
                    failed = true;
                }
            }
        }
        if failed {
            return false;
        }
    }
    let page = ReadRequest {
        count: true,
        stream: format!("inbox/{BOB}"),
        ..ReadRequest::default()
    };
    let read = log
        .read(page)
        .await
        .map(|page| assert_eq!((page.total, page.entries.len()), (4, 4)));
    let got = log
        .get(By::Position(1))
        .await
        .map(|entry| assert_eq!(entry.version, 1));
    let subscribed = log.subscribe(0).await.map(drop);
    read.is_ok() && got.is_ok() && subscribed.is_ok()
}

fn assert_acknowledged(entries: &[Entry], acknowledged: &BTreeMap<Write, (u64, String)>) {
    for (write, (position, cid)) in acknowledged {
        let found: Vec<_> = entries.iter().filter(|entry| entry.cid == *cid).collect();
        assert!(
            matches!(found[..], [entry] if entry.position == *position),
            "{write:?}: {found:?}"
        );
    }
}

fn assert_complete(entries: &[Entry]) {
    assert_gapless(entries);
    assert_eq!(entries.len(), waves().concat().len());
    let outbox = format!("outbox/{}", super::harness::ALICE);
    let chain: Vec<_> = entries
        .iter()
        .filter(|entry| entry.stream == outbox)
        .map(|entry| Activity::parse(&entry.body).unwrap())
        .collect();
    assert_chain(&chain);
}

/// True where the fault came to pass.
async fn survives(broken: Arc<dyn Store>, backend: &impl Backend, fault: Arc<Fault>) -> bool {
    let mut acknowledged = BTreeMap::new();
    let faulty = Arc::new(Faulty {
        store: broken,
        fault: Arc::clone(&fault),
    });
    if let Ok(log) = Log::try_start(faulty, Tuning::default()).await {
        let complete = work(&log, &mut acknowledged).await;
        assert!(complete || fault.fired(), "failed without a fault");
        log.stop().await;
    }
    let log = Log::start(backend.open().await).await;
    let entries = log.all().await;
    assert_gapless(&entries);
    assert_acknowledged(&entries, &acknowledged);
    let before = acknowledged.clone();
    assert!(
        work(&log, &mut acknowledged).await,
        "what was not acknowledged cannot be written again"
    );
    let entries = log.all().await;
    assert_acknowledged(&entries, &acknowledged);
    assert_acknowledged(&entries, &before);
    assert_complete(&entries);
    log.stop().await;
    fault.fired()
}

pub(super) async fn a_crash_at_any_call_loses_and_repeats_nothing<B: Backend>(_: &B) {
    for (done, fatal) in [(false, false), (false, true), (true, false), (true, true)] {
        for at in 0.. {
            let backend = B::empty().await;
            if !survives(backend.open().await, &backend, Fault::new(at, done, fatal)).await {
                assert!(at > 15, "the log made {at} calls only: did it work at all?");
                break;
            }
        }
    }
}
