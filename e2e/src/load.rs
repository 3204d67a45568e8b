//! Publishing that goes on while things break.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status};

use crate::{Domain, Published, Publisher};

/// While nobody waits for more posts, one comes every so often: what is owed must be worked off in the end.
const EVERY: Duration = Duration::from_millis(200);
/// Posts under way at once.
const WIDTH: usize = 8;
/// Whoever is not acknowledged asks again after such a pause.
const PAUSE: Duration = Duration::from_millis(50);
/// A post that is not acknowledged within this time never will be.
const PATIENCE: Duration = Duration::from_secs(60);

/// Posts of one actor, published until it is told to finish: as fast as they are acknowledged while the test waits for
/// more, else a few each second. What is not acknowledged is published again under its key, as a careful client does.
#[derive(Debug)]
pub struct Load {
    task: JoinHandle<Vec<Published>>,
    goal: watch::Sender<usize>,
    acknowledged: watch::Receiver<usize>,
    /// A test that fails publishes nothing more either.
    last: DropGuard,
}

impl Load {
    /// Starts to publish `post 0`, `post 1`, … as a local actor.
    pub fn on(domain: &Domain, actor: &str) -> Self {
        Self::every(EVERY, domain, actor)
    }

    /// One whose posts come so often while nobody waits for more.
    pub fn every(pause: Duration, domain: &Domain, actor: &str) -> Self {
        let publisher = domain.publisher(actor);
        let (counter, acknowledged) = watch::channel(0);
        let (goal, wanted) = watch::channel(0);
        let last = CancellationToken::new();
        let task = tokio::spawn(run(pause, publisher, counter, wanted, last.clone()));
        Self {
            task,
            goal,
            acknowledged,
            last: last.drop_guard(),
        }
    }

    /// How many posts are acknowledged.
    pub fn acknowledged(&self) -> usize {
        *self.acknowledged.borrow()
    }

    /// Waits until so many more posts are acknowledged.
    pub async fn goes_on(&mut self, posts: usize) {
        let goal = self.acknowledged() + posts;
        self.goal.send_replace(goal);
        let begin = Instant::now();
        let reached = timeout(PATIENCE, self.acknowledged.wait_for(|count| *count >= goal)).await;
        let reached = reached.map(|told| told.map(drop));
        let count = self.acknowledged();
        match reached {
            Ok(Ok(())) => eprintln!("{posts} posts more: after {:?}", begin.elapsed()),
            Ok(Err(_)) => panic!("the load has ended at {count} posts"),
            Err(_) => panic!("{count} of {goal} posts are acknowledged within {PATIENCE:?}"),
        }
    }

    /// Publishes nothing new, waits for what is under way, and tells what was acknowledged.
    pub async fn finish(self) -> Vec<Published> {
        drop(self.last);
        self.task.await.expect("the load")
    }
}

async fn run(
    pause: Duration,
    publisher: Publisher,
    counter: watch::Sender<usize>,
    wanted: watch::Receiver<usize>,
    last: CancellationToken,
) -> Vec<Published> {
    let counter = Arc::new(counter);
    let numbers = futures::stream::unfold((0, wanted, pause), async |(number, mut wanted, pause)| {
        // Sooner where more are wanted.
        let _ = timeout(pause, wanted.wait_for(|goal| *goal > number)).await;
        Some((number, (number + 1, wanted, pause)))
    });
    numbers
        .take_until(last.cancelled_owned())
        .map(|number| {
            let (publisher, counter) = (publisher.clone(), counter.clone());
            async move {
                let published = acknowledged(publisher, format!("post {number}")).await;
                counter.send_modify(|count| *count += 1);
                published
            }
        })
        .buffer_unordered(WIDTH)
        .collect()
        .await
}

async fn acknowledged(mut publisher: Publisher, post: String) -> Published {
    let end = Instant::now() + PATIENCE;
    loop {
        match publisher.publish(&post).await {
            Ok(published) => return published,
            Err(status) => {
                assert!(may_be_repeated(&status), "{post}: {status:?}");
                assert!(
                    Instant::now() < end,
                    "{post}: not within {PATIENCE:?}; at last {status:?}"
                );
            }
        }
        sleep(PAUSE).await;
    }
}

/// What a client repeats: the log was not there, or nobody knows what became of the call.
fn may_be_repeated(status: &Status) -> bool {
    use Code::{Aborted, Cancelled, DeadlineExceeded, Unavailable, Unknown};
    matches!(
        status.code(),
        Unavailable | Unknown | Cancelled | Aborted | DeadlineExceeded
    )
}
