//! Gathering a batch from the queue.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Job;
use crate::Tuning;

pub(super) struct Gather {
    jobs: mpsc::Receiver<Vec<Job>>,
    /// Taken from the queue, and in no batch yet.
    taken: VecDeque<Job>,
    max_requests: usize,
    max_bytes: u64,
}

impl Gather {
    pub(super) fn new(jobs: mpsc::Receiver<Vec<Job>>, tuning: &Tuning) -> Self {
        Self {
            jobs,
            taken: VecDeque::new(),
            max_requests: tuning.batch_requests.max(1),
            max_bytes: tuning.batch_bytes,
        }
    }

    /// Waits for a request, and takes those that wait with it up to the batch's bounds. After `stop` no further ones are
    /// let in; none when the last has been taken.
    pub(super) async fn next(&mut self, stop: &CancellationToken) -> Option<Vec<Job>> {
        if self.taken.is_empty() {
            let first = self.wait(stop).await?;
            self.taken.extend(first);
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < self.max_requests
            && let Some(job) = self.take()
        {
            bytes += u64::from(job.bytes);
            if bytes > self.max_bytes && !batch.is_empty() {
                self.taken.push_front(job);
                break;
            }
            batch.push(job);
        }
        Some(batch)
    }

    fn take(&mut self) -> Option<Job> {
        if self.taken.is_empty() {
            self.taken.extend(self.jobs.try_recv().ok()?);
        }
        self.taken.pop_front()
    }

    async fn wait(&mut self, stop: &CancellationToken) -> Option<Vec<Job>> {
        tokio::select! {
            biased;
            job = self.jobs.recv() => return job,
            () = stop.cancelled() => self.jobs.close(),
        }
        self.jobs.recv().await
    }
}
