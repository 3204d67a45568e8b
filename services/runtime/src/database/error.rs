//! What can go wrong in a store.

use std::error::Error;

use crate::code::{Code, Refusal};

/// What a store answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A store failed. The two kinds ask for different people: a driver error passes, or is the operator's; a corrupt row
/// stays until somebody repairs it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, failed or did not answer.
    #[error("the store failed to {action}")]
    Driver {
        action: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A row holds what this service never writes.
    #[error("corrupt row in table `{table}`, column `{column}`, key {key:?}: {problem}")]
    Corrupt {
        table: &'static str,
        column: &'static str,
        key: String,
        problem: String,
    },
}

impl StoreError {
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Logs the failure and makes the answer of it. Call it where the failure ends.
    #[must_use]
    pub fn refuse(&self) -> Refusal {
        match self {
            Self::Driver { source, .. } => {
                tracing::warn!(cause = %source, "{self}");
                Refusal::new(Code::Unavailable, self.to_string())
            }
            Self::Corrupt { .. } => {
                tracing::error!("{self}");
                Refusal::new(Code::Internal, self.to_string())
            }
        }
    }
}

/// The driver's error while the store did this: `.map_err(driver("read a page"))`.
pub fn driver<E: Into<Box<dyn Error + Send + Sync>>>(action: &'static str) -> impl Fn(E) -> StoreError {
    move |error| StoreError::Driver {
        action,
        source: error.into(),
    }
}
