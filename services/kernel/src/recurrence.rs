//! When an event takes place: its `startTime`, or, by its `rrule` (RFC 5545), again and again at the same time of day in its
//! `timezone`, whatever the clocks there are set to.
//!
//! Rules come from strangers. What a rule may say is bounded so that none is costly to read, nor to expand: an expansion is
//! given up after [`MAX_STEPS`] occurrences, or [`HORIZON`] years after the start. The rule itself is expanded as if there
//! were no time zones; wall times become moments here.
//!
//! Enter by [`Recurring::read`].

mod expand;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

pub use expand::{HORIZON, MAX_OCCURRENCES, MAX_STEPS, Occurrence, Occurrences, Recurring, Window};
pub use rule::{MAX_RULE, Rule, RuleError};

/// Longest name of a time zone. Bytes.
const MAX_ZONE: usize = 64;

/// A time zone by its name in the IANA database that is in the binary, not the machine's: spelled as there.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    if name.len() > MAX_ZONE {
        return None;
    }
    let zone = ZONES.get(name).ok()?;
    (zone.iana_name() == Some(name) && !zone.is_unknown()).then_some(zone)
}

/// Why an event's occurrences cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct RecurrenceError {
    pub field: &'static str,
    pub problem: String,
}
