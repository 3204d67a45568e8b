//! Behaviours by the CIDs of their records: flows are pinned to them.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use fedsx_kernel::definition::BehaviourRecord;

use super::FlowError;
use crate::store::{Store, flows::KeptBehaviour};

/// Every behaviour that was ever in effect. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    store: Arc<dyn Store>,
    known: Arc<RwLock<HashMap<String, Arc<BehaviourRecord>>>>,
}

impl Records {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: Arc::default(),
        }
    }

    /// The behaviour with this CID.
    ///
    /// # Errors
    /// [`FlowError::NoBehaviour`]; [`FlowError::Store`].
    pub(crate) async fn record(&self, cid: &str) -> Result<Arc<BehaviourRecord>, FlowError> {
        if let Some(known) = self.known(cid) {
            return Ok(known);
        }
        for kept in self.store.behaviours().await? {
            self.keep(&kept);
        }
        self.known(cid)
            .ok_or_else(|| FlowError::NoBehaviour(cid.to_owned()))
    }

    /// Puts a behaviour here; none: a later version's, which this one cannot read.
    pub(crate) fn keep(&self, kept: &KeptBehaviour) -> Option<Arc<BehaviourRecord>> {
        if let Some(known) = self.known(&kept.cid) {
            return Some(known);
        }
        let Ok(record) = BehaviourRecord::parse(&kept.record) else {
            tracing::warn!(
                name = kept.name,
                cid = kept.cid,
                "a behaviour cannot be read here; it runs no flows"
            );
            return None;
        };
        let record = Arc::new(record);
        if let Ok(mut known) = self.known.write() {
            known.insert(kept.cid.clone(), record.clone());
        }
        Some(record)
    }

    fn known(&self, cid: &str) -> Option<Arc<BehaviourRecord>> {
        self.known.read().ok()?.get(cid).cloned()
    }
}
