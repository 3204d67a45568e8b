//! The queue and its task.

use std::sync::{Arc, atomic::Ordering};

use fedsx_runtime::{code::Code, health::Readiness};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Committer, Job, Writer, gather::Gather};
use crate::{
    Tuning,
    head::Sign,
    keys::Keys,
    metrics::Metrics,
    plan::{Answer, Expected, Request, testing::append},
    store::{
        Store,
        conformance::{
            faults::{Fault, Faulty},
            harness::settings,
        },
        sqlite,
    },
};

fn received(text: &str) -> Request {
    append(Expected::Any, &[text], &[])
}

/// A queue on a store, its task and what it tells.
fn committer(
    store: Arc<dyn Store>,
    tuning: &Tuning,
) -> (
    Committer,
    impl Future<Output = ()> + use<>,
    Readiness,
    CancellationToken,
) {
    let settings = settings();
    let metrics = Metrics::register(&fedsx_runtime::metrics::Metrics::default()).unwrap();
    let (readiness, stop) = (Readiness::default(), CancellationToken::new());
    let sign = Sign::new(0, metrics.clone(), readiness.clone());
    let writer = Writer {
        origin: settings.origin,
        store,
        keys: Arc::new(Keys::new(settings.master_key)),
        registry: crate::registry::Current::default(),
    };
    let (committer, task) = Committer::new(writer, tuning, sign, metrics, stop.clone());
    (committer, task, readiness, stop)
}

fn position(answer: &Answer) -> Option<u64> {
    match answer {
        Answer::Appended(placed) => Some(placed.position),
        _ => None,
    }
}

#[tokio::test]
async fn what_waits_together_is_written_together() {
    let fault = Fault::new(usize::MAX, false, false);
    let store = Arc::new(sqlite::memory().await.unwrap());
    let store = Arc::new(Faulty {
        store,
        fault: Arc::clone(&fault),
    });
    let (committer, task, _, stop) = committer(store, &Tuning::default());
    stop.cancel();
    let (a, b, c, ()) = tokio::join!(
        committer.submit(received("a"), 1),
        committer.submit(received("b"), 1),
        committer.submit(received("c"), 1),
        task
    );
    let positions: Vec<_> = [a, b, c]
        .iter()
        .map(|answer| position(answer.as_ref().unwrap()))
        .collect();
    assert_eq!(positions, [Some(1), Some(2), Some(3)]);
    assert_eq!(fault.calls.load(Ordering::SeqCst), 3, "begin, facts, commit");
    // The task has ended; nothing waits for ever.
    assert_eq!(
        committer.submit(received("d"), 1).await.unwrap_err().code,
        Code::Unavailable
    );
}

#[tokio::test]
async fn a_failed_batch_answers_unavailable_and_the_store_is_told_not_ready_until_it_answers() {
    // The third call is the commit.
    let fault = Fault::new(2, true, false);
    let store = Arc::new(sqlite::memory().await.unwrap());
    let store = Arc::new(Faulty { store, fault });
    let (committer, task, readiness, stop) = committer(store, &Tuning::default());
    let task = tokio::spawn(task);
    let refusal = committer.submit(received("a"), 1).await.unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
    assert!(readiness.lacking().contains_key("store"));
    let again = committer.submit(received("a"), 1).await.unwrap();
    assert!(matches!(again, Answer::Duplicate(placed) if placed.position == 1));
    assert!(readiness.lacking().is_empty());
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_store_that_comes_back_is_noticed_though_nobody_writes() {
    let fault = Fault::new(0, false, false);
    let store = Arc::new(sqlite::memory().await.unwrap());
    let store: Arc<dyn Store> = Arc::new(Faulty {
        store,
        fault: Arc::clone(&fault),
    });
    let metrics = Metrics::register(&fedsx_runtime::metrics::Metrics::default()).unwrap();
    let (readiness, stop) = (Readiness::default(), CancellationToken::new());
    let sign = Sign::new(0, metrics, readiness.clone());
    let poll = std::time::Duration::from_millis(5);
    let task = tokio::spawn(crate::head::look(
        store,
        sign,
        crate::registry::Current::default(),
        poll,
        stop.clone(),
    ));
    crate::store::conformance::harness::eventually("a first look", async || fault.fired()).await;
    crate::store::conformance::harness::eventually("readiness", async || readiness.lacking().is_empty())
        .await;
    stop.cancel();
    task.await.unwrap();
}

fn job(text: &str, bytes: u32) -> Job {
    let room = Arc::new(Semaphore::new(1)).try_acquire_many_owned(0).unwrap();
    Job {
        request: received(text),
        bytes,
        answer: oneshot::channel().0,
        room: Arc::new(room),
    }
}

/// The same batches, whether requests come together or one by one.
async fn gathered(sizes: &[u32], tuning: &Tuning) -> Vec<Vec<u32>> {
    let [one_by_one, together] =
        [1, 64].map(|together| async move { batches(sizes, together, tuning).await });
    let batches = one_by_one.await;
    assert_eq!(batches, together.await);
    batches
}

async fn batches(sizes: &[u32], together: usize, tuning: &Tuning) -> Vec<Vec<u32>> {
    let (queue, receiver) = mpsc::channel(64);
    for sizes in sizes.chunks(together) {
        let jobs = sizes.iter().map(|bytes| job("a", *bytes)).collect();
        queue.send(jobs).await.unwrap();
    }
    drop(queue);
    let mut gather = Gather::new(receiver, tuning);
    let mut batches = Vec::new();
    while let Some(batch) = gather.next(&CancellationToken::new()).await {
        batches.push(batch.iter().map(|job| job.bytes).collect());
    }
    batches
}

#[tokio::test]
async fn a_batch_is_bounded_by_requests_and_by_bytes() {
    let tuning = Tuning {
        batch_requests: 3,
        batch_bytes: 10,
        ..Tuning::default()
    };
    assert_eq!(
        gathered(&[1, 1, 1, 1, 1], &tuning).await,
        [vec![1, 1, 1], vec![1, 1]]
    );
    assert_eq!(
        gathered(&[4, 4, 4, 99, 1], &tuning).await,
        [vec![4, 4], vec![4], vec![99], vec![1]]
    );
    assert_eq!(gathered(&[], &tuning).await, Vec::<Vec<u32>>::new());
}

#[tokio::test]
async fn after_the_stop_what_waits_is_still_gathered_and_nothing_more() {
    let (queue, receiver) = mpsc::channel(64);
    let mut gather = Gather::new(receiver, &Tuning::default());
    queue.send(vec![job("a", 1)]).await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(gather.next(&stop).await.map(|batch| batch.len()), Some(1));
    assert!(gather.next(&stop).await.is_none());
    assert!(queue.send(vec![job("b", 1)]).await.is_err());
}

#[tokio::test]
async fn a_request_larger_than_the_queue_waits_until_it_is_empty_and_then_passes() {
    let tuning = Tuning {
        queue_bytes: 100,
        ..Tuning::default()
    };
    let store = Arc::new(sqlite::memory().await.unwrap());
    let (committer, task, _, stop) = committer(store, &tuning);
    let task = tokio::spawn(task);
    let (a, b) = tokio::join!(
        committer.submit(received("a"), 60),
        committer.submit(received("b"), usize::MAX),
    );
    assert!(a.is_ok() && b.is_ok());
    stop.cancel();
    task.await.unwrap();
}
