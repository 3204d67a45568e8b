//! How flows stand, on the way to the store: those that end at the same time are written together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ByFlow;
use crate::{
    backoff::Backoff,
    store::{
        Store,
        flows::{FlowRow, Holder},
    },
};

/// Flows of one write.
const MANY: usize = 500;
/// Flows that may wait to be written; who has more waits.
const ROOM: usize = 4000;

/// Takes flows that this process is done with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct WriteBehind {
    items: mpsc::Sender<Item>,
    under_way: Arc<Mutex<ByFlow<u64>>>,
}

#[derive(Debug)]
enum Item {
    Flow(Box<FlowRow>),
    /// Told once everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// What writes them.
#[derive(Debug)]
pub(crate) struct Writes {
    items: mpsc::Receiver<Item>,
    under_way: Arc<Mutex<ByFlow<u64>>>,
    store: Arc<dyn Store>,
    owner: Arc<str>,
}

/// The way there, and what has to run behind it.
pub(crate) fn write_behind(store: Arc<dyn Store>, owner: Arc<str>) -> (WriteBehind, Writes) {
    let (sender, receiver) = mpsc::channel(ROOM);
    let under_way = Arc::<Mutex<ByFlow<u64>>>::default();
    let behind = WriteBehind {
        items: sender,
        under_way: under_way.clone(),
    };
    let writes = Writes {
        items: receiver,
        under_way,
        store,
        owner,
    };
    (behind, writes)
}

impl WriteBehind {
    /// Writes how a flow stands now, and gives it back.
    pub(crate) async fn put(&self, row: FlowRow) {
        if let Ok(mut under_way) = self.under_way.lock() {
            under_way.insert(row.id.clone(), row.version);
        }
        // Should nobody write it any more, the process ends, and the log tells the next one.
        let _ = self.items.send(Item::Flow(Box::new(row))).await;
    }

    /// The version at which a flow is on the way to the store; 0: it is not.
    pub(crate) fn version(&self, flow: &str) -> u64 {
        let under_way = self.under_way.lock();
        under_way.map_or(0, |under_way| under_way.get(flow).copied().unwrap_or_default())
    }

    /// Waits until what was left before is in the store.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.items.send(Item::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

impl Writes {
    /// Writes until it is told to stop, and then what is left, once.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        let mut items = Vec::with_capacity(MANY);
        loop {
            tokio::select! {
                biased;
                count = self.items.recv_many(&mut items, MANY) => if count == 0 { return },
                () = stop.cancelled() => return,
            }
            let (rows, told) = sort(std::mem::take(&mut items));
            while let Err(error) = self.write(&rows).await {
                tracing::warn!(%error, "how flows stand could not be written; trying again");
                if stop
                    .run_until_cancelled(tokio::time::sleep(backoff.wait()))
                    .await
                    .is_none()
                {
                    return;
                }
            }
            backoff.reset();
            self.forget(&rows);
            for told in told {
                let _ = told.send(());
            }
        }
    }

    async fn write(&self, rows: &[FlowRow]) -> crate::store::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.store.put_flows(rows, Holder::Leaves(&self.owner)).await?;
        Ok(())
    }

    fn forget(&self, rows: &[FlowRow]) {
        let Ok(mut under_way) = self.under_way.lock() else {
            return;
        };
        for row in rows {
            if under_way.get(&row.id) == Some(&row.version) {
                under_way.remove(&row.id);
            }
        }
    }
}

/// The latest of each flow, and who waits.
fn sort(items: Vec<Item>) -> (Vec<FlowRow>, Vec<oneshot::Sender<()>>) {
    let (mut rows, mut told): (HashMap<String, FlowRow>, Vec<_>) = (HashMap::new(), Vec::new());
    for item in items {
        match item {
            Item::Flow(row) => {
                let newer = rows.get(&row.id).is_none_or(|known| known.version <= row.version);
                if newer {
                    rows.insert(row.id.clone(), *row);
                }
            }
            Item::Flush(done) => told.push(done),
        }
    }
    (rows.into_values().collect(), told)
}
