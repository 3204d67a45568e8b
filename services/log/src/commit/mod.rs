//! Group commit: concurrent requests are gathered and written in one transaction.
//!
//! Requests wait in one bounded queue. A task takes what is waiting, has it planned, sealed and written as one batch, and
//! answers. While a batch is written the next one gathers, so that the cost of a commit is shared by as many as there
//! are. After a failure nobody knows whether the batch was written: its requests are answered `unavailable`, and whoever
//! asks again is answered `Duplicate` where it was, by the CID, the activity's id or the draft's key.

use std::sync::Arc;

use fedsx_runtime::code::{Code, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    Tuning,
    head::Sign,
    metrics::Metrics,
    plan::{Answer, Request},
};

mod batch;
mod gather;
#[cfg(test)]
mod tests;
mod thread;

pub use batch::{BatchError, Committed, Writer};
pub use thread::apart;

/// Takes requests for the next batch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Committer {
    queue: mpsc::Sender<Vec<Job>>,
    /// The bytes that may wait.
    room: Arc<Semaphore>,
    max_bytes: u32,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Job {
    request: Request,
    bytes: u32,
    answer: oneshot::Sender<Result<Answer, Refusal>>,
    /// Shared by those that came together.
    room: Arc<OwnedSemaphorePermit>,
}

impl Committer {
    /// Makes a queue and the task that empties it; the task is the caller's to run.
    pub fn new(
        writer: Writer,
        tuning: &Tuning,
        sign: Sign,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, jobs) = mpsc::channel(tuning.queue.max(1));
        let committer = Self {
            queue,
            room: Arc::new(Semaphore::new(
                usize::try_from(tuning.queue_bytes).unwrap_or(usize::MAX),
            )),
            max_bytes: tuning.queue_bytes,
        };
        let task = Task {
            writer,
            gather: gather::Gather::new(jobs, tuning),
            sign,
            metrics,
        };
        (committer, task.run(stop))
    }

    /// Waits for a place in the queue, then for the batch. The request is carried out even where its caller has gone.
    ///
    /// # Errors
    /// What the request is refused with; [`Code::Unavailable`] where it is unknown whether it was written.
    pub async fn submit(&self, request: Request, bytes: usize) -> Result<Answer, Refusal> {
        match self.submit_all(vec![(request, bytes)]).await.pop() {
            Some(answer) => answer.await,
            None => Err(stopping()),
        }
    }

    /// Waits for a place in the queue for requests that came together, each with its size in bytes: as far as one batch has
    /// room for them, it takes them together. Answers what each of them may wait for.
    pub async fn submit_all(
        &self,
        requests: Vec<(Request, usize)>,
    ) -> Vec<impl Future<Output = Result<Answer, Refusal>> + use<>> {
        let size = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX).min(self.max_bytes);
        let all = size(requests.iter().map(|(_, bytes)| bytes).sum());
        let room = Arc::clone(&self.room).acquire_many_owned(all).await;
        let room = room.ok().map(Arc::new);
        let (mut jobs, mut answers) = (Vec::new(), Vec::with_capacity(requests.len()));
        for (request, bytes) in requests {
            let (answer, answered) = oneshot::channel();
            answers.push(async { answered.await.unwrap_or_else(|_| Err(stopping())) });
            // Where there is no room any more, nobody writes any more: the answer is dropped, and that tells.
            jobs.extend(room.clone().map(|room| Job {
                request,
                bytes: size(bytes),
                answer,
                room,
            }));
        }
        if !jobs.is_empty() {
            let _ = self.queue.send(jobs).await;
        }
        answers
    }
}

fn stopping() -> Refusal {
    Refusal::new(Code::Unavailable, "the log is stopping")
}

struct Task {
    writer: Writer,
    gather: gather::Gather,
    sign: Sign,
    metrics: Metrics,
}

impl Task {
    /// Until the queue is closed and empty.
    async fn run(mut self, stop: CancellationToken) {
        while let Some(jobs) = self.gather.next(&stop).await {
            let (requests, callers): (Vec<_>, Vec<_>) = jobs
                .into_iter()
                .map(|job| (job.request, (job.answer, job.room)))
                .unzip();
            let answers = self.commit(&requests).await;
            for ((caller, room), answer) in callers.into_iter().zip(answers) {
                drop(room);
                // Whoever has gone meanwhile asks again, or does not care.
                let _ = caller.send(answer);
            }
        }
    }

    async fn commit(&mut self, requests: &[Request]) -> Vec<Result<Answer, Refusal>> {
        let mut answers = Vec::with_capacity(requests.len());
        while let Some(rest) = requests.get(answers.len()..).filter(|rest| !rest.is_empty()) {
            answers.extend(self.batch(rest).await);
        }
        answers
    }

    /// The answers to the first of the requests, as many as make a batch.
    async fn batch(&mut self, requests: &[Request]) -> Vec<Result<Answer, Refusal>> {
        match self.attempt(requests).await {
            Ok(answers) => answers,
            // One request's broken row is not its neighbours' fault, and nothing was written yet.
            Err(error) if error.is_corrupt() && requests.len() > 1 => self.one_by_one(requests).await,
            Err(error) => vec![Err(error.refuse()); requests.len()],
        }
    }

    async fn one_by_one(&mut self, requests: &[Request]) -> Vec<Result<Answer, Refusal>> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests.chunks(1) {
            match self.attempt(request).await {
                Ok(answer) => answers.extend(answer),
                Err(error) => answers.push(Err(error.refuse())),
            }
        }
        answers
    }

    async fn attempt(&mut self, requests: &[Request]) -> Result<Vec<Result<Answer, Refusal>>, BatchError> {
        let committed = self
            .writer
            .commit(requests)
            .await
            .inspect_err(|error| self.sign.failed(error))?;
        self.metrics
            .committed(committed.answers.len(), &committed.entries);
        self.sign.appended(committed.entries, committed.head);
        Ok(committed.answers)
    }
}
