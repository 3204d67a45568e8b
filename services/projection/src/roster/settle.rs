//! What becomes of the projections: which of them are built, which serve their names, and which are done with.
//!
//! A pure function over the rows that a store reads under its lock, so that a backend is SQL alone.
//!
//! A changed definition is another id. It is built beside the one that serves the name, and takes over once it has seen what
//! that one has. What was adopted together is read for together: a cohort, so that a new view reads the log once and holds
//! up no other.

use std::collections::{BTreeMap, BTreeSet};

/// A projection that the domain has defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InEffect {
    /// The record's CID.
    pub id: String,
    pub name: String,
    /// In canonical form.
    pub record: Vec<u8>,
    /// The position of the entry that brought it into effect.
    pub since: u64,
}

/// A projection that is kept here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub id: String,
    pub name: String,
    /// In canonical form; empty: a view of a version before there were records. Nobody folds it on, and others may still
    /// read it.
    pub record: Vec<u8>,
    pub since: u64,
    pub state: State,
    /// Those that are building are read for by cohorts.
    pub cohort: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It follows the log on its own.
    Building,
    /// It serves its name.
    Live,
    /// Its rows are being deleted.
    Retired,
}

/// How far the shards of a projection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The position of the last of them.
    pub lowest: u64,
    /// Whether one stands still.
    pub halted: bool,
}

/// The projections as they are to be, by id. What is new is here too; nothing is left out.
#[must_use]
pub fn settle(
    kept: &[Kept],
    standing: &BTreeMap<String, Standing>,
    in_effect: &[InEffect],
) -> BTreeMap<String, Kept> {
    let mut rows: BTreeMap<String, Kept> = kept.iter().map(|row| (row.id.clone(), row.clone())).collect();
    let before = |id: &str| standing.get(id).copied().unwrap_or_default();
    let front = front(kept, standing);
    take_over(&mut rows, front, before);
    let first = rows.values().all(|row| row.state != State::Live);
    let cohort = in_effect.iter().map(|defined| defined.since).max().unwrap_or(0);
    for defined in in_effect {
        let of_name = || kept.iter().filter(|row| row.name == defined.name);
        // Who knows of an older definition only has not heard yet.
        if of_name().any(|row| row.since > defined.since) {
            continue;
        }
        match rows.get_mut(&defined.id) {
            Some(row) if row.state == State::Retired => {}
            Some(row) => row.since = defined.since,
            None => {
                let state = if first { State::Live } else { State::Building };
                rows.insert(defined.id.clone(), adopted(defined, state, cohort));
            }
        }
        for row in rows.values_mut() {
            let overtaken = row.name == defined.name && row.id != defined.id;
            if overtaken && row.state == State::Building {
                row.state = State::Retired;
            }
        }
    }
    rows
}

fn adopted(defined: &InEffect, state: State, cohort: u64) -> Kept {
    Kept {
        id: defined.id.clone(),
        name: defined.name.clone(),
        record: defined.record.clone(),
        since: defined.since,
        state,
        cohort,
    }
}

/// How far those that serve are, where they get on.
fn front(kept: &[Kept], standing: &BTreeMap<String, Standing>) -> u64 {
    let live = kept
        .iter()
        .filter(|row| row.state == State::Live && !row.record.is_empty());
    let standing = live.filter_map(|row| standing.get(&row.id));
    let moving = standing.filter(|standing| !standing.halted);
    moving.map(|standing| standing.lowest).min().unwrap_or(0)
}

/// Those that have seen what the ones have that serve: a reader sees no gap, and the others are not held up.
fn take_over(rows: &mut BTreeMap<String, Kept>, front: u64, standing: impl Fn(&str) -> Standing) {
    let serving = |rows: &BTreeMap<String, Kept>, name: &str| {
        let mut rows = rows.values();
        let live = rows.find(|row| row.state == State::Live && row.name == name)?;
        Some(live.id.clone())
    };
    let building: BTreeSet<String> = rows
        .values()
        .filter(|row| row.state == State::Building)
        .map(|row| row.id.clone())
        .collect();
    for id in building {
        let own = standing(&id);
        let Some(name) = rows.get(&id).map(|row| row.name.clone()) else {
            continue;
        };
        let before = serving(rows, &name);
        let served = before.as_deref().map(&standing).unwrap_or_default();
        if own.halted || own.lowest < front.max(served.lowest) {
            continue;
        }
        if let Some(row) = before.and_then(|before| rows.get_mut(&before)) {
            row.state = State::Retired;
        }
        if let Some(row) = rows.get_mut(&id) {
            row.state = State::Live;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn defined(id: &str, since: u64) -> InEffect {
        InEffect {
            id: id.to_owned(),
            name: id.trim_end_matches(char::is_numeric).to_owned(),
            record: b"{}".to_vec(),
            since,
        }
    }

    fn kept(id: &str, state: State, since: u64) -> Kept {
        adopted(&defined(id, since), state, since)
    }

    fn at(positions: &[(&str, u64, bool)]) -> BTreeMap<String, Standing> {
        let standing = |(id, lowest, halted): &(&str, u64, bool)| {
            let (lowest, halted) = (*lowest, *halted);
            ((*id).to_owned(), Standing { lowest, halted })
        };
        positions.iter().map(standing).collect()
    }

    fn states(rows: &BTreeMap<String, Kept>) -> Vec<(&str, State)> {
        rows.values().map(|row| (row.id.as_str(), row.state)).collect()
    }

    use State::{Building, Live, Retired};

    #[test]
    fn the_first_serve_at_once_and_later_ones_are_built_first() {
        let first = settle(&[], &at(&[]), &[defined("a1", 3), defined("b1", 4)]);
        assert_eq!(states(&first), [("a1", Live), ("b1", Live)]);
        let kept: Vec<Kept> = first.into_values().collect();
        let later = settle(
            &kept,
            &at(&[("a1", 9, false), ("b1", 9, false)]),
            &[
                defined("a1", 3),
                defined("b1", 4),
                defined("c1", 7),
                defined("d1", 8),
            ],
        );
        assert_eq!(
            states(&later),
            [("a1", Live), ("b1", Live), ("c1", Building), ("d1", Building)]
        );
        assert_eq!((later["c1"].cohort, later["d1"].cohort), (8, 8));
    }

    #[test]
    fn a_changed_one_takes_over_once_it_has_seen_as_much() {
        let rows = [kept("a1", Live, 3), kept("a2", Building, 9), kept("b1", Live, 4)];
        let effective = [defined("a2", 9), defined("b1", 4)];
        let states_at = |a1: (u64, bool), a2: (u64, bool)| {
            let standing = at(&[("a1", a1.0, a1.1), ("a2", a2.0, a2.1), ("b1", 9, false)]);
            let rows = settle(&rows, &standing, &effective);
            rows["a2"].state
        };
        assert_eq!(states_at((9, false), (8, false)), Building);
        assert_eq!(states_at((9, false), (9, false)), Live);
        // Not while it stands still, nor while it would hold up the others.
        assert_eq!(states_at((9, false), (9, true)), Building);
        assert_eq!(states_at((5, true), (6, false)), Building);
    }

    #[test]
    fn one_that_stands_still_holds_no_repaired_one_up() {
        let rows = [kept("a1", Live, 3), kept("a2", Building, 9), kept("b1", Live, 4)];
        let standing = at(&[("a1", 5, true), ("a2", 9, false), ("b1", 9, false)]);
        let after = settle(&rows, &standing, &[defined("a2", 9)]);
        assert_eq!(states(&after), [("a1", Retired), ("a2", Live), ("b1", Live)]);
    }

    #[test]
    fn what_is_overtaken_while_it_is_built_is_done_with() {
        let rows = [kept("a1", Live, 3), kept("a2", Building, 9)];
        let standing = at(&[("a1", 20, false), ("a2", 4, false)]);
        let after = settle(&rows, &standing, &[defined("a3", 12)]);
        assert_eq!(states(&after), [("a1", Live), ("a2", Retired), ("a3", Building)]);
        // Back to the first: nothing is built.
        let after = settle(&rows, &standing, &[defined("a1", 12)]);
        assert_eq!(states(&after), [("a1", Live), ("a2", Retired)]);
        assert_eq!(after["a1"].since, 12);
    }

    #[test]
    fn who_has_not_heard_yet_changes_nothing() {
        let rows = [kept("a1", Live, 3), kept("a2", Building, 9)];
        let standing = at(&[("a1", 20, false), ("a2", 4, false)]);
        let after = settle(&rows, &standing, &[defined("a1", 3)]);
        assert_eq!(after.into_values().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn what_is_being_deleted_is_not_built_before_it_is_gone() {
        let rows = [kept("a1", Retired, 3), kept("a2", Live, 9)];
        let after = settle(&rows, &at(&[("a2", 20, false)]), &[defined("a1", 12)]);
        assert_eq!(states(&after), [("a1", Retired), ("a2", Live)]);
        let after = settle(&rows[1..], &at(&[("a2", 20, false)]), &[defined("a1", 12)]);
        assert_eq!(states(&after), [("a1", Building), ("a2", Live)]);
    }

    proptest! {
        /// Whatever is defined in whatever order, and however far the shards are: at most one serves a name, a name that is
        /// served stays so, and once nothing moves the one in effect serves.
        #[test]
        fn a_name_that_is_served_stays_so(
            story in proptest::collection::vec((0_u8..2, 1_u8..4, 0_u64..30, any::<bool>()), 1..12),
        ) {
            let mut rows: Vec<Kept> = Vec::new();
            let mut effective: BTreeMap<String, InEffect> = BTreeMap::new();
            for (since, (name, version, lowest, stale)) in (1..).zip(story) {
                let id = format!("{}{version}", char::from(b'a' + name));
                let before: BTreeSet<String> =
                    rows.iter().filter(|row| row.state == Live).map(|row| row.name.clone()).collect();
                let old: Vec<InEffect> = effective.values().cloned().collect();
                effective.insert(id[..1].to_owned(), defined(&id, since));
                let now: Vec<InEffect> = effective.values().cloned().collect();
                let standing: BTreeMap<String, Standing> = rows
                    .iter()
                    .map(|row| (row.id.clone(), Standing { lowest, halted: row.id.ends_with('3') }))
                    .collect();
                let after = settle(&rows, &standing, if stale { &old } else { &now });
                for name in ["a", "b"] {
                    let serving = after.values().filter(|row| row.name == name && row.state == Live).count();
                    prop_assert!(serving <= 1);
                    prop_assert!(serving == 1 || !before.contains(name));
                }
                rows = after.into_values().collect();
            }
            // Time passes: everything catches up, and what is retired goes.
            let now: Vec<InEffect> = effective.values().cloned().collect();
            for _ in 0..4 {
                let standing: BTreeMap<String, Standing> = rows
                    .iter()
                    .map(|row| (row.id.clone(), Standing { lowest: 99, halted: false }))
                    .collect();
                rows = settle(&rows, &standing, &now).into_values().collect();
                rows.retain(|row| row.state != Retired);
            }
            let serving: BTreeSet<String> =
                rows.iter().filter(|row| row.state == Live).map(|row| row.id.clone()).collect();
            let expected: BTreeSet<String> = now.iter().map(|defined| defined.id.clone()).collect();
            prop_assert_eq!(serving, expected);
        }
    }
}
