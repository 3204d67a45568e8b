//! One projection of relations: a thread that keeps its edges saturated, and an index that everybody reads.

use std::{collections::HashMap, sync::Arc, thread};

use fedsx_kernel::definition::RelationRule;
use serde_json::Value;
use tokio::sync::{RwLock, RwLockReadGuard, mpsc, oneshot};

use super::{
    edges::{self, Said},
    index::{Ended, Index},
    plan::Edge,
    plan::Plan,
    saturation::{Saturation, Stopped},
};
use crate::store::{Reach, Row};

/// Pages of rows that wait for the thread.
const WAITING: usize = 2;

/// The graph as others see it. Its thread ends when the last of these is dropped.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    index: Arc<RwLock<Index>>,
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
enum Command {
    /// Rows as they are now, and of some of them perhaps as they were.
    Rows(Vec<Row>),
    /// Derive what follows. The rows that were given are all that have changed up to there.
    Settle(Reach, oneshot::Sender<Result<(), Ended>>),
}

impl Graph {
    /// Starts without a row.
    pub(super) fn start(rules: Vec<RelationRule>, limit: usize) -> Self {
        let (commands, waiting) = mpsc::channel(WAITING);
        let index = Arc::<RwLock<Index>>::default();
        let keeper = index.clone();
        let run = move || Keeper::new(keeper, &rules, limit).run(waiting);
        // Where there is no thread, nobody takes a command, and whoever gives one learns it.
        let _ = thread::Builder::new().name("relations".to_owned()).spawn(run);
        Self { index, commands }
    }

    /// Waits while the thread writes.
    pub(super) async fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().await
    }

    /// Waits while the thread is busy.
    ///
    /// # Errors
    /// [`Ended`]
    pub(super) async fn rows(&self, rows: Vec<Row>) -> Result<(), Ended> {
        match self.commands.send(Command::Rows(rows)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended().await),
        }
    }

    /// Derives what follows from the rows given. It goes on where nobody waits for it any more.
    ///
    /// # Errors
    /// [`Ended`]
    pub(super) async fn settle(&self, reach: Reach) -> Result<(), Ended> {
        let (reply, settled) = oneshot::channel();
        let _ = self.commands.send(Command::Settle(reach, reply)).await;
        match settled.await {
            Ok(settled) => settled,
            Err(_) => Err(self.ended().await),
        }
    }

    async fn ended(&self) -> Ended {
        self.index().await.ended.unwrap_or(Ended::Fault)
    }
}

/// What the thread has.
struct Keeper {
    index: Arc<RwLock<Index>>,
    saturation: Saturation,
    /// What each row says now, by its key's number.
    rows: HashMap<u32, Vec<Edge>>,
    /// The edges that rows say, and how many do.
    said: HashMap<Edge, u32>,
    /// Those that have become said, or unsaid, since the last result.
    touched: Vec<Edge>,
    limit: usize,
}

impl Keeper {
    fn new(index: Arc<RwLock<Index>>, rules: &[RelationRule], limit: usize) -> Self {
        let plan = {
            let mut index = index.blocking_write();
            Plan::new(rules, &mut index.names)
        };
        Self {
            index,
            saturation: Saturation::new(plan, limit),
            rows: HashMap::new(),
            said: HashMap::new(),
            touched: Vec::new(),
            limit,
        }
    }

    fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            let settled = match command {
                Command::Rows(rows) => {
                    self.read(&rows);
                    continue;
                }
                Command::Settle(reach, reply) => {
                    let settled = self.settle(reach, || !commands.is_closed());
                    // For whoever comes later, too.
                    self.index.blocking_write().ended = settled.err();
                    // Nobody may wait for it any more.
                    let _ = reply.send(settled);
                    settled
                }
            };
            if settled.is_err() {
                return;
            }
        }
    }

    fn read(&mut self, rows: &[Row]) {
        let lock = self.index.clone();
        let mut index = lock.blocking_write();
        for row in rows {
            // More is never asked of it.
            if self.said.len() > self.limit {
                return;
            }
            // The fold has seen to it that a row is one.
            let value: Value = serde_json::from_slice(&row.value).unwrap_or_default();
            self.replace(&mut index, &row.key, &value);
        }
    }

    /// What a row says now in the place of what it said before.
    fn replace(&mut self, index: &mut Index, key: &str, row: &Value) {
        // Before the old ones go, so that what stays keeps its number.
        let edges: Vec<Edge> = edges::of_row(key, row)
            .map(|Said { relation, from, to }| [relation, from, to].map(|name| index.names.hold(name)))
            .map(|[relation, from, to]| (relation, from, to))
            .collect();
        edges.iter().for_each(|edge| self.say(*edge));
        // The key's number is held while the row says anything.
        let (own, says) = (index.names.hold(key), !edges.is_empty());
        let before = match says {
            true => self.rows.insert(own, edges),
            false => self.rows.remove(&own),
        };
        if !says {
            index.names.release(own);
        }
        let Some(before) = before else { return };
        index.names.release(own);
        for (relation, from, to) in before {
            self.unsay((relation, from, to));
            [relation, from, to]
                .into_iter()
                .for_each(|number| index.names.release(number));
        }
    }

    fn say(&mut self, edge: Edge) {
        let count = self.said.entry(edge).or_default();
        *count += 1;
        if *count == 1 {
            self.saturation.change(edge, true);
            self.touched.push(edge);
        }
    }

    fn unsay(&mut self, edge: Edge) {
        let Some(count) = self.said.get_mut(&edge) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.said.remove(&edge);
            self.saturation.change(edge, false);
            self.touched.push(edge);
        }
    }

    fn settle(&mut self, reach: Reach, wanted: impl Fn() -> bool) -> Result<(), Ended> {
        if self.said.len() > self.limit {
            return Err(Ended::TooMany);
        }
        let differences = match self.touched.is_empty() {
            true => Vec::new(),
            false => self.saturation.settle(wanted).map_err(|stopped| match stopped {
                Stopped::TooMany => Ended::TooMany,
                Stopped::Unwanted => Ended::Fault,
            })?,
        };
        let mut index = self.index.blocking_write();
        for (edge, difference) in differences {
            match difference > 0 {
                true => index.insert(edge, !self.said.contains_key(&edge)),
                false => index.remove(edge),
            }
        }
        for edge in std::mem::take(&mut self.touched) {
            index.mark(edge, !self.said.contains_key(&edge));
        }
        index.names.sweep();
        index.reach = Some(reach);
        Ok(())
    }
}
