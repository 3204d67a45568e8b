//! A store whose calls fail on demand.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use fedsx_proto::v1::{Entry, KvItem};
use jiff::Timestamp;

use crate::store::{
    Batch, By, DefinitionRow, Facts, Head, KvQuery, Need, PageQuery, PeerTypeRow, Result, Rows, Store,
    StoreError, StreamRow, TypeBounds,
};

/// Which call fails, and how.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The number of the call, from 0.
    pub(crate) at: usize,
    /// It takes effect, and its answer is lost. Else it never happens.
    pub(crate) done: bool,
    /// All calls after it fail too: the process is dead. Else it was a hiccup.
    pub(crate) fatal: bool,
    pub(crate) calls: AtomicUsize,
    fired: AtomicBool,
}

impl Fault {
    pub(crate) fn new(at: usize, done: bool, fatal: bool) -> Arc<Self> {
        Arc::new(Self {
            at,
            done,
            fatal,
            calls: AtomicUsize::new(0),
            fired: AtomicBool::new(false),
        })
    }

    pub(crate) fn fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if call < self.at || (call > self.at && !self.fatal) {
            return work.await;
        }
        self.fired.store(true, Ordering::SeqCst);
        if call == self.at && self.done {
            work.await?;
        }
        Err(StoreError::Driver {
            action: "answer",
            source: "a fault on demand".into(),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fault: Arc<Fault>,
}

struct FaultyBatch {
    batch: Box<dyn Batch>,
    fault: Arc<Fault>,
}

#[async_trait]
impl Store for Faulty {
    async fn begin(&self) -> Result<Box<dyn Batch>> {
        let batch = self.fault.call(self.store.begin()).await?;
        Ok(Box::new(FaultyBatch {
            batch,
            fault: Arc::clone(&self.fault),
        }))
    }

    async fn head(&self) -> Result<Head> {
        self.fault.call(self.store.head()).await
    }

    async fn entry(&self, by: &By) -> Result<Option<Entry>> {
        self.fault.call(self.store.entry(by)).await
    }

    async fn page(&self, query: &PageQuery) -> Result<Vec<Entry>> {
        self.fault.call(self.store.page(query)).await
    }

    async fn at(&self, positions: &[u64], max_bytes: u64) -> Result<Vec<Entry>> {
        self.fault.call(self.store.at(positions, max_bytes)).await
    }

    async fn stream(&self, name: &str) -> Result<Option<StreamRow>> {
        self.fault.call(self.store.stream(name)).await
    }

    async fn kv_get(&self, space: &str, key: &str) -> Result<Option<KvItem>> {
        self.fault.call(self.store.kv_get(space, key)).await
    }

    async fn kv_list(&self, query: &KvQuery) -> Result<Vec<KvItem>> {
        self.fault.call(self.store.kv_list(query)).await
    }

    async fn definitions(&self, after: u64) -> Result<Vec<DefinitionRow>> {
        self.fault.call(self.store.definitions(after)).await
    }

    async fn peer_types_of(&self, cids: &[&str]) -> Result<Vec<PeerTypeRow>> {
        self.fault.call(self.store.peer_types_of(cids)).await
    }

    async fn peer_types(&self, after: &str, limit: u32) -> Result<Vec<PeerTypeRow>> {
        self.fault.call(self.store.peer_types(after, limit)).await
    }

    async fn keep_peer_type(&self, row: &PeerTypeRow) -> Result<bool> {
        self.fault.call(self.store.keep_peer_type(row)).await
    }

    async fn use_peer_type(&self, cid: &str, at: Timestamp) -> Result<()> {
        self.fault.call(self.store.use_peer_type(cid, at)).await
    }

    async fn drop_peer_type(&self, cid: &str) -> Result<bool> {
        self.fault.call(self.store.drop_peer_type(cid)).await
    }

    async fn trim_peer_types(&self, to: &TypeBounds) -> Result<u64> {
        self.fault.call(self.store.trim_peer_types(to)).await
    }
}

#[async_trait]
impl Batch for FaultyBatch {
    async fn facts(&mut self, need: &Need) -> Result<Facts> {
        self.fault.call(self.batch.facts(need)).await
    }

    async fn definitions(&mut self, after: u64) -> Result<Vec<DefinitionRow>> {
        self.fault.call(self.batch.definitions(after)).await
    }

    async fn commit(self: Box<Self>, rows: &Rows) -> Result<()> {
        self.fault.call(self.batch.commit(rows)).await
    }
}
