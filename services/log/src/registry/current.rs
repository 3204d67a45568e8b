//! The registry as this process has it.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Registry, row::Unreadable};
use crate::store::{Batch, DefinitionRow, Result, Store, StoreError};

/// Shared by those who check, and by the task that writes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Current(watch::Sender<Arc<Registry>>);

impl Current {
    /// The registry of a store.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open(store: &dyn Store) -> Result<Self> {
        let current = Self::default();
        current.learn(&store.definitions(0).await?)?;
        Ok(current)
    }

    #[must_use]
    pub fn get(&self) -> Arc<Registry> {
        Arc::clone(&self.0.borrow())
    }

    /// The registry at a position that other replicas may have moved it to.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn caught_up(&self, batch: &mut dyn Batch, position: u64) -> Result<Arc<Registry>> {
        let known = self.get().position();
        if known < position {
            self.learn(&batch.definitions(known).await?)?;
        }
        Ok(self.get())
    }

    /// Follows what other replicas have defined.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn follow(&self, store: &dyn Store, position: u64) -> Result<()> {
        let known = self.get().position();
        if known < position {
            self.learn(&store.definitions(known).await?)?;
        }
        Ok(())
    }

    /// What took effect, in order; what is known already is passed over.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    pub fn learn(&self, rows: &[DefinitionRow]) -> Result<()> {
        let mut learnt = Ok(());
        self.0.send_if_modified(|registry| {
            let known = registry.position();
            let first = rows.partition_point(|row| row.position <= known);
            match registry.with(rows.get(first..).unwrap_or_default()) {
                Ok(with) => {
                    let moved = with.position() > known;
                    *registry = Arc::new(with);
                    moved
                }
                Err(error) => {
                    learnt = Err(corrupt(&error));
                    false
                }
            }
        });
        learnt
    }
}

fn corrupt(error: &Unreadable) -> StoreError {
    StoreError::Corrupt {
        table: "definition",
        column: "body",
        key: error.position.to_string(),
        problem: error.problem.clone(),
    }
}
