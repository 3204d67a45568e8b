//! Gathering a batch from the queue.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Job;
use crate::Tuning;

pub(super) struct Gather {
    jobs: mpsc::Receiver<Job>,
    /// Taken from the queue, but too large for the batch before.
    left: Option<Job>,
    max_requests: usize,
    max_bytes: u64,
}

impl Gather {
    pub(super) fn new(jobs: mpsc::Receiver<Job>, tuning: &Tuning) -> Self {
        Self {
            jobs,
            left: None,
            max_requests: tuning.batch_requests.max(1),
            max_bytes: tuning.batch_bytes,
        }
    }

    /// Waits for a request, and takes those that wait with it up to the batch's bounds. After `stop` no further ones are
    /// let in; none when the last has been taken.
    pub(super) async fn next(&mut self, stop: &CancellationToken) -> Option<Vec<Job>> {
        let first = match self.left.take() {
            Some(job) => job,
            None => self.wait(stop).await?,
        };
        // The callers that the last batch answered are about to ask again: those that are ready come along. It costs nothing
        // where nobody is; with 64 writers it makes a third fewer batches, hence syncs.
        tokio::task::yield_now().await;
        let mut bytes = u64::from(first.bytes);
        let mut batch = vec![first];
        while batch.len() < self.max_requests
            && let Ok(job) = self.jobs.try_recv()
        {
            bytes += u64::from(job.bytes);
            if bytes > self.max_bytes {
                self.left = Some(job);
                break;
            }
            batch.push(job);
        }
        Some(batch)
    }

    async fn wait(&mut self, stop: &CancellationToken) -> Option<Job> {
        tokio::select! {
            biased;
            job = self.jobs.recv() => return job,
            () = stop.cancelled() => self.jobs.close(),
        }
        self.jobs.recv().await
    }
}
