//! Changes of kv alone.

use fedsx_proto::v1::KvChange;

use super::{Outcome, State};

pub(super) fn decide(state: &mut State<'_>, changes: &[KvChange]) -> Outcome {
    if let Some(conflict) = state.kv_conflict(changes) {
        return Outcome::KvConflict(conflict);
    }
    state.change(changes);
    Outcome::Changed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fedsx_proto::v1::KvConflict;

    use super::*;
    use crate::{
        plan::{
            Request, plan,
            testing::{delete, put},
        },
        store::Facts,
    };

    fn conflict(version: u64) -> Outcome {
        Outcome::KvConflict(KvConflict {
            space: "stock".to_owned(),
            key: "k".to_owned(),
            version,
        })
    }

    #[test]
    fn versions_rise_across_deletes_and_a_lost_compare_and_set_takes_none() {
        let mut facts = Facts::default();
        facts.head.kv_version = 10;
        facts.kv.insert(("stock".to_owned(), "k".to_owned()), 4);
        let steps = [
            (put("k", Some(0)), conflict(4)),
            (put("k", Some(4)), Outcome::Changed), // 11
            (put("k", Some(4)), conflict(11)),
            (delete("k", Some(11)), Outcome::Changed), // 12
            (put("k", Some(12)), conflict(0)),
            (put("k", Some(0)), Outcome::Changed),    // 13
            (put("other", None), Outcome::Changed),   // 14
            (delete("k", None), Outcome::Changed),    // 15
            (delete("k", Some(0)), Outcome::Changed), // 16
            (put("k", None), Outcome::Changed),       // 17
        ];
        let requests: Vec<_> = steps
            .iter()
            .map(|(change, _)| Request::Change(vec![change.clone()]))
            .collect();
        let plan = plan(&requests, &facts, &BTreeMap::new());
        let expected: Vec<_> = steps.into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(plan.outcomes, expected);
        assert_eq!(plan.kv_version, 17);
        let versions: Vec<_> = plan
            .kv
            .values()
            .map(|row| (row.key.as_str(), row.version))
            .collect();
        assert_eq!(versions, [("k", 17), ("other", 14)]);
    }

    #[test]
    fn changes_are_made_all_or_none() {
        let requests = [
            Request::Change(vec![put("other", None), put("k", Some(3))]),
            Request::Change(vec![put("other", Some(0))]),
        ];
        let plan = plan(&requests, &Facts::default(), &BTreeMap::new());
        assert_eq!(plan.outcomes, [conflict(0), Outcome::Changed]);
    }
}
