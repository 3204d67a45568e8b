//! Appends that come at the same time go to the log in one call.
//!
//! Nothing waits for others to come: what is there goes at once, and while a call is under way the next one gathers. A
//! call costs both sides more than an append does, so that under load this is most of what the log costs a gateway.

use std::sync::Arc;

use fedsx_proto::v1::{
    AppendManyRequest, AppendManyResponse, AppendRequest, AppendResponse, AppendResult, append_result,
};
use fedsx_runtime::code::{Code, Refusal};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout},
};
use tonic::Status;

use super::SERVICE;
use crate::{
    LogClient,
    measure::Appends,
    upstream::{self, DEADLINE},
};

/// Calls under way at once: the log parses one while it writes another.
const CALLS: usize = 8;
/// Appends that wait for a call; who comes then waits for a place.
const QUEUE: usize = 256;
/// Most appends of one call.
const MAX_APPENDS: usize = 256;
/// Most bytes of bodies in one call, unless one append alone has more.
const MAX_BYTES: usize = 4 << 20;

/// The way to append. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Appender {
    queue: mpsc::Sender<Job>,
    measures: Appends,
}

#[derive(Debug)]
struct Job {
    request: AppendRequest,
    answer: oneshot::Sender<Result<AppendResponse, Refusal>>,
}

impl Appender {
    /// Starts the task that gathers, which ends with the last clone of this.
    pub(super) fn start(client: LogClient, measures: Appends) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let gather = Gather {
            jobs,
            left: None,
            client,
            calls: Arc::new(Semaphore::new(CALLS)),
            measures: measures.clone(),
        };
        tokio::spawn(gather.run());
        Self { queue, measures }
    }

    /// Appends; a failure says nothing about whether it was written.
    pub(super) async fn append(&self, request: AppendRequest) -> Result<AppendResponse, Refusal> {
        let begun = Instant::now();
        let (answer, answered) = oneshot::channel();
        let waiting = async {
            self.queue.send(Job { request, answer }).await.ok()?;
            answered.await.ok()
        };
        let outcome = match timeout(DEADLINE, waiting).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(upstream::away(SERVICE, "the call was given up")),
            Err(_) => Err(upstream::away(SERVICE, "no answer in time")),
        };
        self.measures.took(begun.elapsed());
        outcome
    }
}

struct Gather {
    jobs: mpsc::Receiver<Job>,
    /// Taken from the queue, but too large for the call before.
    left: Option<Job>,
    client: LogClient,
    calls: Arc<Semaphore>,
    measures: Appends,
}

impl Gather {
    /// Until nobody is left who could append.
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            // What comes while all calls are under way goes along.
            let Ok(turn) = self.calls.clone().acquire_owned().await else {
                return;
            };
            let batch = self.batch(first);
            if !batch.is_empty() {
                self.measures.gathered(batch.len());
                tokio::spawn(call(self.client.clone(), batch, turn));
            }
        }
    }

    async fn next(&mut self) -> Option<Job> {
        match self.left.take() {
            Some(job) => Some(job),
            None => self.jobs.recv().await,
        }
    }

    /// The first with those that wait behind it, up to a call's bounds; whoever has gone meanwhile is left out.
    fn batch(&mut self, first: Job) -> Vec<Job> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(job) = next {
            if !job.answer.is_closed() {
                bytes += size(&job.request);
                if bytes > MAX_BYTES && !batch.is_empty() {
                    self.left = Some(job);
                    break;
                }
                batch.push(job);
            }
            next = (batch.len() < MAX_APPENDS)
                .then(|| self.jobs.try_recv().ok())
                .flatten();
        }
        batch
    }
}

fn size(request: &AppendRequest) -> usize {
    request.entries.iter().map(|entry| entry.body.len()).sum()
}

async fn call(client: LogClient, batch: Vec<Job>, turn: OwnedSemaphorePermit) {
    let (appends, callers): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.request, job.answer)).unzip();
    let answer = append_many(client, AppendManyRequest { appends }).await;
    drop(turn);
    match answer {
        Ok(answer) if answer.results.len() == callers.len() => {
            for (caller, result) in callers.into_iter().zip(answer.results) {
                let _ = caller.send(outcome(result));
            }
        }
        Ok(answer) => {
            let (asked, got) = (callers.len(), answer.results.len());
            tracing::error!(asked, got, "the log left appends unanswered");
            fail(callers, &Refusal::new(Code::Internal, "the log service failed"));
        }
        Err(refusal) => fail(callers, &refusal),
    }
}

/// Calls, and once more where the answer was lost: an append that was written is a duplicate then, and another replica of
/// the log may answer where the first has just gone.
async fn append_many(
    mut client: LogClient,
    request: AppendManyRequest,
) -> Result<AppendManyResponse, Refusal> {
    let deadline = Instant::now() + DEADLINE;
    let first = tokio::time::timeout_at(deadline, client.append_many(request.clone()));
    let answered = match first.await {
        Ok(Err(lost)) if is_lost(&lost) => {
            tokio::time::timeout_at(deadline, client.append_many(request)).await
        }
        answered => answered,
    };
    upstream::answer(SERVICE, answered)
}

fn is_lost(status: &Status) -> bool {
    Refusal::from(status.clone()).code == Code::Unavailable
}

fn outcome(result: AppendResult) -> Result<AppendResponse, Refusal> {
    match result.result {
        Some(append_result::Result::Answered(answer)) => Ok(answer),
        Some(append_result::Result::Refused(refused)) => {
            let code = Code::parse(&refused.code).unwrap_or(Code::Internal);
            Err(upstream::translate(SERVICE, Refusal::new(code, refused.detail)))
        }
        None => Err(Refusal::new(Code::Internal, "the log service failed")),
    }
}

fn fail(callers: Vec<oneshot::Sender<Result<AppendResponse, Refusal>>>, refusal: &Refusal) {
    for caller in callers {
        let _ = caller.send(Err(refusal.clone()));
    }
}
