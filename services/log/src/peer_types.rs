//! Peers' types: kept in the store as they were shown, and in memory while they are used.
//!
//! A type is named by the digest of its bytes, so that what is kept can never be wrong, and any may be dropped: it is
//! fetched again when it is needed. The log itself fetches nothing.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use fedsx_kernel::{
    cid::Cid,
    definition::{MAX_CHAIN, TypeRecord},
    origin::Origin,
};
use fedsx_runtime::{
    clock::Clock,
    code::{Code, Refusal},
    database::Result,
};
use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;

use crate::{
    metrics::Metrics,
    registry::Registry,
    store::{PeerTypeRow, Store, StoreError, TypeBounds},
};

/// Most peers' types that are kept. Beyond, and beyond [`MAX_BYTES`], those that were not used for longest are dropped.
pub const MAX_TYPES: u64 = 4096;
/// Most bytes of canonical forms that are kept.
pub const MAX_BYTES: u64 = 64 << 20;
/// Of both, one origin's types take at most one of so many parts: it drops its own before others'.
const SHARES: u64 = 8;
/// Most bytes of peers' types that one activity is checked by: what a stranger can make us read for a few bytes of its own.
pub const MAX_FOR_ONE: usize = 256 << 10;
/// Types that are read at once: at most 512 KiB.
const AT_ONCE: usize = 8;
/// Bytes of canonical forms whose records are held in memory.
const IN_MEMORY: u64 = 8 << 20;
/// A record is held so long before the store is asked again, which is how others learn that it is used.
const HELD: Duration = Duration::from_mins(1);
/// A use is noted at most so often.
const NOTED: SignedDuration = SignedDuration::from_hours(1);

/// Records by their CIDs.
pub type Records = HashMap<Cid, Arc<TypeRecord>>;

/// The peers' types of a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PeerTypes {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    memory: Cache<Cid, Arc<TypeRecord>>,
}

/// What is here of some records and of those whose rules hold too.
#[derive(Debug, Default)]
pub struct Chains {
    /// Peers' types.
    pub fetched: Records,
    /// Neither defined here nor kept.
    pub missing: Vec<Cid>,
}

/// Chains cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the types that it names have more than {0} bytes together")]
    TooLarge(usize),
}

impl ChainError {
    /// Logs the store's failure and makes the answer of it.
    #[must_use]
    pub fn refuse(&self) -> Refusal {
        match self {
            Self::Store(error) => error.refuse(),
            Self::TooLarge(_) => Refusal::new(Code::SchemaRefused, self.to_string()),
        }
    }
}

impl PeerTypes {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let weigh =
            |_: &Cid, record: &Arc<TypeRecord>| u32::try_from(record.canonical().len()).unwrap_or(u32::MAX);
        let memory = Cache::builder()
            .max_capacity(IN_MEMORY)
            .weigher(weigh)
            .time_to_live(HELD)
            .build();
        Self {
            store,
            clock,
            metrics,
            memory,
        }
    }

    /// Follows records to the ends of their chains, at most [`MAX_CHAIN`] long.
    ///
    /// # Errors
    /// [`ChainError`]: the store's, or peers' types of more than so many bytes together.
    pub async fn chains(
        &self,
        registry: &Registry,
        roots: Vec<Cid>,
        bytes: usize,
    ) -> std::result::Result<Chains, ChainError> {
        let mut chains = Chains::default();
        let mut weight = 0;
        // Level by level: each record at the first level that it stands on, from where it reaches furthest.
        let mut seen: HashSet<Cid> = HashSet::new();
        let mut level = roots;
        for _ in 0..MAX_CHAIN {
            level.retain(|cid| seen.insert(cid.clone()));
            let (own, others): (Vec<_>, Vec<_>) = level
                .into_iter()
                .partition(|cid| registry.type_record(cid).is_some());
            let parents = own.iter().filter_map(|cid| registry.type_record(cid)?.parent());
            level = parents.cloned().collect();
            for few in others.chunks(AT_ONCE) {
                let mut found = self.records(few).await?;
                for cid in few {
                    let Some(record) = found.remove(cid) else {
                        chains.missing.push(cid.clone());
                        continue;
                    };
                    weight += record.canonical().len();
                    level.extend(record.parent().cloned());
                    chains.fetched.insert(cid.clone(), record);
                }
                if weight > bytes {
                    return Err(ChainError::TooLarge(bytes));
                }
            }
        }
        Ok(chains)
    }

    /// Peers' types, as far as they are here; their use is noted.
    async fn records(&self, cids: &[Cid]) -> Result<Records> {
        let (mut records, mut others) = (Records::new(), Vec::new());
        for cid in cids {
            match self.memory.get(cid).await {
                Some(record) => drop(records.insert(cid.clone(), record)),
                None => others.push(cid.as_str()),
            }
        }
        if others.is_empty() {
            return Ok(records);
        }
        for row in self.store.peer_types_of(&others).await? {
            let record = Arc::new(read(&row)?);
            let cid = record.cid().clone();
            self.note_use(&row).await;
            self.memory.insert(cid.clone(), Arc::clone(&record)).await;
            records.insert(cid, record);
        }
        Ok(records)
    }

    async fn note_use(&self, row: &PeerTypeRow) {
        let now = self.clock.now();
        if now.duration_since(row.used_at) >= NOTED
            && let Err(error) = self.store.use_peer_type(&row.cid, now).await
        {
            tracing::warn!(%error, "it was not noted that a peer's type is used");
        }
    }

    /// A peer's type as it is kept.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn get(&self, cid: &Cid) -> Result<Option<PeerTypeRow>> {
        Ok(self.store.peer_types_of(&[cid.as_str()]).await?.pop())
    }

    /// Those beyond a CID, without their bodies.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<PeerTypeRow>> {
        self.store.peer_types(after, limit).await
    }

    /// Keeps a type, and drops what there is then too much; what types defined here stand on stays. False where it was
    /// here already.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn keep(&self, registry: &Registry, record: &TypeRecord, origin: &Origin) -> Result<bool> {
        let now = self.clock.now();
        if !self.store.keep_peer_type(&row(record, origin, now)).await? {
            return Ok(false);
        }
        self.metrics.peer_types("kept", 1);
        let spared = self.spared(registry).await?.into_keys().collect();
        let of_origin = TypeBounds {
            origin: Some(origin.to_string()),
            number: MAX_TYPES / SHARES,
            bytes: MAX_BYTES / SHARES,
            spared,
        };
        let of_all = TypeBounds {
            origin: None,
            number: MAX_TYPES,
            bytes: MAX_BYTES,
            ..of_origin.clone()
        };
        for bounds in [of_origin, of_all] {
            let dropped = self.store.trim_peer_types(&bounds).await?;
            self.metrics.peer_types("evicted", dropped);
        }
        Ok(true)
    }

    /// Drops a type; false where it was not here.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn evict(&self, cid: &Cid) -> Result<bool> {
        let dropped = self.store.drop_peer_type(cid.as_str()).await?;
        self.memory.invalidate(cid).await;
        self.metrics.peer_types("evicted", u64::from(dropped));
        Ok(dropped)
    }

    /// What types defined here stand on, each with the name of one that does.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn spared(&self, registry: &Registry) -> Result<HashMap<String, String>> {
        let mut spared = HashMap::new();
        let mut roots = HashSet::new();
        for (parent, child) in registry.foreign_parents() {
            if roots.insert(parent) {
                let chain = self.chains(registry, vec![parent.clone()], usize::MAX).await;
                let cids = match chain {
                    Ok(chain) => chain.fetched.into_keys(),
                    Err(ChainError::Store(error)) => return Err(error),
                    Err(ChainError::TooLarge(_)) => continue,
                };
                spared.extend(cids.map(|cid| (cid.to_string(), child.to_owned())));
            }
        }
        Ok(spared)
    }
}

fn row(record: &TypeRecord, origin: &Origin, now: Timestamp) -> PeerTypeRow {
    PeerTypeRow {
        cid: record.cid().to_string(),
        name: record.name().to_owned(),
        origin: origin.to_string(),
        bytes: u64::try_from(record.canonical().len()).unwrap_or(u64::MAX),
        body: record.canonical().to_vec().into(),
        fetched_at: now,
        used_at: now,
    }
}

fn read(row: &PeerTypeRow) -> Result<TypeRecord> {
    let corrupt = |problem: String| StoreError::Corrupt {
        table: "peer_type",
        column: "body",
        key: row.cid.clone(),
        problem,
    };
    let record = TypeRecord::parse(&row.body).map_err(|error| corrupt(error.to_string()))?;
    if record.cid().as_str() == row.cid {
        return Ok(record);
    }
    Err(corrupt(format!("its digest is that of {}", record.cid())))
}
