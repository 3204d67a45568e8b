//! What looking after the projections writes, the same in every backend.

use std::collections::BTreeMap;

use crate::roster::settle::{self, InEffect, Kept, Standing, State};

/// Reads them, in either backend.
pub(super) const STANDINGS: &str =
    "SELECT projection.*, count(shard.view) AS shards, coalesce(min(shard.position), 0) AS lowest,
            count(shard.halted) AS halted
     FROM projection LEFT JOIN shard ON shard.view = projection.id
     GROUP BY projection.id ORDER BY projection.id";

/// The projections as they stand, and how far each is.
pub(super) type Standings = Vec<(Kept, Option<Standing>)>;

/// The changes of one turn.
#[derive(Debug, Default)]
pub(super) struct Settlement {
    /// All that are kept then.
    pub(super) kept: Vec<Kept>,
    /// Those to write.
    pub(super) changed: Vec<Kept>,
    /// New ones, which get shards.
    pub(super) adopted: Vec<String>,
    /// Their leases end.
    pub(super) handed: Vec<String>,
    /// Their shards are deleted.
    pub(super) retired: Vec<String>,
}

impl Settlement {
    pub(super) fn of(standings: &Standings, in_effect: &[InEffect]) -> Self {
        let before: Vec<Kept> = standings.iter().map(|(kept, _)| kept.clone()).collect();
        let standing: BTreeMap<String, Standing> = standings
            .iter()
            .filter_map(|(kept, standing)| Some((kept.id.clone(), (*standing)?)))
            .collect();
        let mut settlement = Self::default();
        for (id, after) in settle::settle(&before, &standing, in_effect) {
            let was = before.iter().find(|kept| kept.id == id);
            if was != Some(&after) {
                settlement.change(was.map(|kept| kept.state), &after);
            }
            settlement.kept.push(after);
        }
        // Of two that change places, the one that gives its name up comes first.
        settlement.changed.sort_by_key(|kept| kept.state == State::Live);
        settlement
    }

    fn change(&mut self, was: Option<State>, after: &Kept) {
        self.changed.push(after.clone());
        match (was, after.state) {
            (None, _) => self.adopted.push(after.id.clone()),
            (Some(State::Building), State::Live) => self.handed.push(after.id.clone()),
            // Others may still read what was made before there were records.
            (Some(was), State::Retired) if was != State::Retired && !after.record.is_empty() => {
                self.retired.push(after.id.clone());
            }
            _ => {}
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }
}
