//! What happens to the two domains, in the order in which it happens.

pub(crate) mod backends;
pub(crate) mod drain;
pub(crate) mod install;
pub(crate) mod killed;
pub(crate) mod policies;
pub(crate) mod restored;
pub(crate) mod rolled;
pub(crate) mod scale;
pub(crate) mod story;
pub(crate) mod tls;
pub(crate) mod trace;
pub(crate) mod uninstall;
pub(crate) mod upgrade;

use fedsx_e2e::{Entry, Load, Published, verify};
use futures::future::join_all;

use crate::harness::{Release, Stage};

/// The ids of entries, in their order.
fn ids(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.id.clone()).collect()
}

/// A post of each domain reaches the other while something is done to them, and nothing is lost or repeated.
pub(crate) struct Traffic {
    stage: &'static Stage,
    there: Sender,
    back: Sender,
}

/// Actors of one domain, each with a load.
struct Sender {
    authors: Vec<String>,
    loads: Vec<Load>,
}

impl Sender {
    /// New actors, named by what happens, that the other domain follows.
    async fn start(from: &Release, to: &Release, what: &str, width: usize) -> Self {
        let names = (0..width).map(|number| format!("{what}-{number}"));
        let authors = from.authors(names, to).await;
        let loads = from.loads(&authors);
        Self { authors, loads }
    }

    async fn finish(self) -> Said {
        let acknowledged = self.loads.into_iter().map(Load::finish);
        self.authors
            .into_iter()
            .zip(join_all(acknowledged).await)
            .collect()
    }
}

/// What each actor's posts were acknowledged as.
type Said = Vec<(String, Vec<Published>)>;

impl Traffic {
    /// Starts to publish as so many actors of the blog, and of events.
    pub(crate) async fn start(stage: &'static Stage, what: &str, [there, back]: [usize; 2]) -> Self {
        let (there, back) = tokio::join!(
            Sender::start(&stage.blog, &stage.events, what, there),
            Sender::start(&stage.events, &stage.blog, what, back),
        );
        Self { stage, there, back }
    }

    /// Waits until each actor has published so much more.
    pub(crate) async fn goes_on(&mut self, posts: usize) {
        let loads = self.there.loads.iter_mut().chain(&mut self.back.loads);
        join_all(loads.map(|load| load.goes_on(posts))).await;
    }

    /// Ends the loads, and compares what they were told with both logs and both ledgers. Returns what the blog published.
    pub(crate) async fn verify(self) -> Vec<Published> {
        let Stage { blog, events, .. } = self.stage;
        let (there, back) = tokio::join!(self.there.finish(), self.back.finish());
        for (author, acknowledged) in &there {
            verify(blog, author, acknowledged, &[events], &[]).await;
        }
        for (author, acknowledged) in &back {
            verify(events, author, acknowledged, &[blog], &[]).await;
        }
        there
            .into_iter()
            .flat_map(|(_, acknowledged)| acknowledged)
            .collect()
    }
}
