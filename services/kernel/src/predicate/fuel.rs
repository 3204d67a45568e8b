//! What an evaluation may still cost.

use super::failure::Failure;

/// Bytes of text for one unit.
pub(super) const BYTES: usize = 32;

/// Units: see the table of costs in `tests/vectors/predicate/README.md`.
#[derive(Debug)]
pub(super) struct Fuel {
    budget: u64,
    left: u64,
}

impl Fuel {
    pub(super) fn new(budget: u64) -> Self {
        Self { budget, left: budget }
    }

    /// Pays for a step before it is done.
    pub(super) fn pay(&mut self, units: u64) -> Result<(), Failure> {
        match self.left.checked_sub(units) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Failure::BudgetExceeded)
            }
        }
    }

    /// So much was paid. Over budget, the budget.
    pub(super) fn spent(&self) -> u64 {
        self.budget - self.left
    }
}

/// The weight of a text: 1, and 1 for every whole 32 bytes.
pub(super) fn text(bytes: usize) -> u64 {
    count(bytes / BYTES).saturating_add(1)
}

pub(super) fn count(elements: usize) -> u64 {
    u64::try_from(elements).unwrap_or(u64::MAX)
}
