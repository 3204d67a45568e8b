//! Waiting until something has been folded, by this process or by another.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fedsx_runtime::code::{Code, Refusal};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    shard::{ShardId, lease::Lease},
    store::{Reach, Result, Store},
};

/// How often the store is asked how far other processes are, while anybody waits for them.
const POLL: Duration = Duration::from_millis(20);

type Known = HashMap<ShardId, Reach>;

/// How far the shards are, as far as this process knows. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    store: Arc<dyn Store>,
    known: watch::Sender<Known>,
    /// Whoever of those who wait has this looks for all of them; when that was done last.
    looked: Arc<Mutex<Instant>>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    Shard(&'a ShardId),
    /// All shards of the view.
    View(&'a str),
}

impl Scope<'_> {
    fn covers(self, shard: &ShardId) -> bool {
        match self {
            Self::Shard(wanted) => wanted == shard,
            Self::View(view) => view == shard.view,
        }
    }

    /// Whether it is worth reading again: everything is as far, or something stands still before.
    fn is_due(self, at_least: u64, known: &Known) -> bool {
        let covered = known.iter().filter(|(shard, _)| self.covers(shard));
        let mut reaches = covered.map(|(_, reach)| reach).peekable();
        let any = reaches.peek().is_some();
        let (mut reached, mut stands) = (any, false);
        for reach in reaches {
            reached &= reach.position >= at_least;
            stands |= reach.position < at_least && reach.halted.is_some();
        }
        reached || stands
    }
}

impl Progress {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: watch::Sender::default(),
            looked: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Shards of this process, as they are stored now.
    pub(crate) fn moved(&self, leases: &[Lease]) {
        let reach = |lease: &Lease| Reach {
            position: lease.position,
            halted: lease.halted.clone(),
        };
        self.learn(leases.iter().map(|lease| (lease.shard.clone(), reach(lease))));
    }

    fn learn(&self, reaches: impl Iterator<Item = (ShardId, Reach)>) {
        self.known.send_modify(|known| {
            for (shard, reach) in reaches {
                // Two may tell at the same time; shards do not go back.
                if known
                    .get(&shard)
                    .is_none_or(|known| known.position <= reach.position)
                {
                    known.insert(shard, reach);
                }
            }
        });
    }

    /// Reads until what was read is as far as `at_least`; again only once the shards in question are.
    ///
    /// # Errors
    /// [`Code::Unavailable`] where it does not get there in time, or stands still.
    pub(crate) async fn reach<T, F>(
        &self,
        scope: Scope<'_>,
        at_least: u64,
        patience: Duration,
        mut read: impl FnMut() -> F,
    ) -> std::result::Result<T, Refusal>
    where
        F: Future<Output = Result<(T, Reach)>>,
    {
        let deadline = Instant::now() + patience;
        let mut news = self.known.subscribe();
        loop {
            news.mark_unchanged();
            let (value, reach) = read().await.map_err(|error| error.refuse())?;
            if reach.position >= at_least {
                return Ok(value);
            }
            let behind = |why: &str| {
                let detail = format!("the view is at {}, before {at_least}{why}", reach.position);
                Refusal::new(Code::Unavailable, detail)
            };
            if let Some(why) = &reach.halted {
                return Err(behind(&format!(", and stands still: {why}")));
            }
            if Instant::now() >= deadline {
                return Err(behind(""));
            }
            let due = async {
                loop {
                    self.hear(&mut news).await;
                    if scope.is_due(at_least, &news.borrow_and_update()) {
                        break;
                    }
                }
            };
            let _ = timeout_at(deadline, due).await;
        }
    }

    /// Waits for news, and sees that there are some.
    async fn hear(&self, news: &mut watch::Receiver<Known>) {
        tokio::select! {
            _ = news.changed() => {}
            () = self.look() => {}
        }
    }

    async fn look(&self) {
        let mut looked = self.looked.lock().await;
        sleep_until(*looked + POLL).await;
        let shards = self.store.shards().await;
        *looked = Instant::now();
        // Where the store fails, whoever waits finds out when it reads.
        let shards = shards.unwrap_or_default().into_iter();
        self.learn(shards.map(|shard| {
            let reach = Reach {
                position: shard.position,
                halted: shard.halted,
            };
            (shard.id, reach)
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use jiff::SignedDuration;

    use super::*;
    use crate::{
        store::{Advance, Group},
        testing::node,
    };

    const PATIENCE: Duration = Duration::from_secs(60);
    const TERM: SignedDuration = SignedDuration::from_secs(60);

    /// Reads the view `v`, and counts how often.
    async fn reach(
        progress: &Progress,
        reads: &AtomicU64,
        at_least: u64,
        patience: Duration,
    ) -> std::result::Result<u64, Refusal> {
        let read = || async {
            reads.fetch_add(1, Ordering::SeqCst);
            let shards = progress.store.shards().await?;
            let last = shards
                .into_iter()
                .min_by_key(|shard| (shard.position, shard.halted.is_none()))
                .unwrap();
            let (position, halted) = (last.position, last.halted);
            Ok((position, Reach { position, halted }))
        };
        progress.reach(Scope::View("v"), at_least, patience, read).await
    }

    /// A view of which nothing is folded yet.
    async fn view() -> (Progress, Vec<Lease>) {
        let store = node::store().await;
        let group = Group {
            name: "views".to_owned(),
            shards: ShardId::all("v").collect(),
        };
        store.declare(&group.shards).await.unwrap();
        let leases = store.hold(&group, "a", TERM).await.unwrap();
        (Progress::new(store), leases)
    }

    fn step(lease: &Lease, position: u64, halted: Option<&str>) -> Advance {
        Advance {
            shard: lease.shard.clone(),
            epoch: lease.epoch,
            from: lease.position,
            position,
            count: 0,
            digest: lease.digest,
            halted: halted.map(str::to_owned),
            changes: Vec::new(),
        }
    }

    /// Shard after shard, in a store that this process is not told of.
    async fn elsewhere(progress: &Progress, leases: &[Lease], position: u64, halted: Option<&str>) {
        for lease in leases {
            let step = step(lease, position, halted);
            assert_eq!(progress.store.commit(&[step]).await.unwrap(), []);
        }
    }

    #[tokio::test]
    async fn waits_for_what_another_process_folds_and_reads_once_it_is_there() {
        let (progress, leases) = view().await;
        let reads = AtomicU64::new(0);
        let (reached, ()) = tokio::join!(
            reach(&progress, &reads, 2, PATIENCE),
            elsewhere(&progress, &leases, 2, None)
        );
        assert_eq!((reached, reads.into_inner()), (Ok(2), 2));
    }

    #[tokio::test]
    async fn one_looks_for_all_who_wait() {
        let (progress, leases) = view().await;
        let reads = AtomicU64::new(0);
        let waiting = futures::future::join_all((0..100).map(|_| reach(&progress, &reads, 2, PATIENCE)));
        let (reached, ()) = tokio::join!(waiting, async {
            elsewhere(&progress, &leases, 1, None).await;
            let leases: Vec<Lease> = leases
                .iter()
                .map(|lease| Lease {
                    position: 1,
                    ..lease.clone()
                })
                .collect();
            elsewhere(&progress, &leases, 2, None).await;
        });
        assert!(reached.into_iter().all(|reached| reached == Ok(2)));
        assert_eq!(reads.into_inner(), 200, "nobody reads in vain");
    }

    #[tokio::test]
    async fn is_told_what_this_process_folds() {
        let (progress, leases) = view().await;
        let reads = AtomicU64::new(0);
        let fold = async |position: u64| {
            let step = |lease: &Lease| Advance {
                from: position - 1,
                ..step(lease, position, None)
            };
            let advances: Vec<Advance> = leases.iter().map(step).collect();
            assert_eq!(progress.store.commit(&advances).await.unwrap(), []);
            let moved = leases.iter().map(|lease| Lease {
                position,
                ..lease.clone()
            });
            progress.moved(&moved.collect::<Vec<_>>());
        };
        // Nobody can look.
        let _looking = progress.looked.lock().await;
        for position in 1..=300 {
            let (reached, ()) = tokio::join!(reach(&progress, &reads, position, PATIENCE), fold(position));
            assert_eq!(reached, Ok(position));
        }
    }

    #[tokio::test]
    async fn does_not_wait_for_ever_nor_for_what_stands_still() {
        let (progress, leases) = view().await;
        let reads = AtomicU64::new(0);
        elsewhere(&progress, &leases, 1, None).await;
        let refusal = reach(&progress, &reads, 2, Duration::ZERO).await.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.detail.as_str()),
            (Code::Unavailable, "the view is at 1, before 2")
        );
        let leases: Vec<Lease> = leases
            .iter()
            .map(|lease| Lease {
                position: 1,
                ..lease.clone()
            })
            .collect();
        let (reached, ()) = tokio::join!(
            reach(&progress, &reads, 2, PATIENCE),
            elsewhere(&progress, &leases[3..4], 1, Some("poison"))
        );
        let refusal = reached.unwrap_err();
        assert!(refusal.detail.contains("poison"), "{refusal}");
    }
}
