//! An append of complete activities.

use fedsx_runtime::code::{Code, Refusal};

use super::{Append, Complete, Content, Expected, Outcome, Planned, State};
use crate::store::{Name, NameKind};

pub(super) fn decide(state: &mut State<'_>, request: usize, append: &Append) -> Outcome {
    let names = all_names(append);
    // Before the conflict: who asks again because an answer was lost must learn that the first time counted.
    if let Some(outcome) = duplicate(state, append, &names) {
        return outcome;
    }
    let version = state.version(&append.stream);
    if matches!(append.expected, Expected::Version(expected) if expected != version) {
        return Outcome::Conflict { version };
    }
    if let Some(conflict) = state.kv_conflict(&append.kv) {
        return Outcome::KvConflict(conflict);
    }
    state.change(&append.kv);
    let mut last = 0;
    for (entry, names) in append.entries.iter().zip(names) {
        let planned = Planned {
            request,
            stream: append.stream.clone(),
            version: state.version(&append.stream) + 1,
            meta: entry.meta(),
            content: Content::Complete(entry.activity.clone()),
            draft_key: None,
            defines: entry.defines(),
        };
        last = state.add(names.into_iter().flatten(), planned);
    }
    Outcome::Appended(last)
}

/// The duplicate that an append is, where the stream has all of its entries.
pub(super) fn known(state: &State<'_>, append: &Append) -> Option<Outcome> {
    let known = duplicate(state, append, &all_names(append));
    known.filter(|outcome| !matches!(outcome, Outcome::Refused(_)))
}

fn all_names(append: &Append) -> Vec<Names> {
    let entries = append.entries.iter();
    entries
        .map(|entry| names(&append.stream, &entry.activity))
        .collect()
}

/// A duplicate where the stream has all entries. Where it has a part of them the caller is wrong about the stream, and
/// is told so: an answer of `Duplicate` would lose the rest.
fn duplicate(state: &State<'_>, append: &Append, names: &[Names]) -> Option<Outcome> {
    let mut found: Vec<_> = names
        .iter()
        .filter_map(|names| names.iter().flatten().find_map(|name| state.duplicate(name)))
        .collect();
    if found.len() == append.entries.len() {
        return found.pop();
    }
    (!found.is_empty()).then(|| {
        let detail = format!(
            "{} of {} activities are in {} already; nothing was written",
            found.len(),
            append.entries.len(),
            append.stream
        );
        Outcome::Refused(Refusal::new(Code::AlreadyExists, detail))
    })
}

/// What an entry is known by: its CID, and its activity's id where it has one.
pub(super) type Names = [Option<Name>; 2];

pub(super) fn names(stream: &str, activity: &Complete) -> Names {
    let name = |kind, text: &str| Name {
        stream: stream.to_owned(),
        kind,
        text: text.to_owned(),
    };
    let has_id = !activity.activity_id.is_empty();
    [
        Some(name(NameKind::Cid, activity.cid.as_str())),
        has_id.then(|| name(NameKind::ActivityId, &activity.activity_id)),
    ]
}

#[cfg(test)]
mod tests {
    use fedsx_proto::v1::KvConflict;

    use super::*;
    use crate::{
        plan::{
            Request,
            testing::{self, INBOX, append, at_version, outcomes, put, stored},
        },
        store::Facts,
    };

    const ANY: Expected = Expected::Any;

    fn at(version: u64) -> Expected {
        Expected::Version(version)
    }

    #[test]
    fn a_stream_is_written_only_where_the_caller_expects_it() {
        let mut facts = Facts::default();
        at_version(&mut facts, INBOX, 3);
        let table = [
            (ANY, Outcome::Appended(0)),
            (at(3), Outcome::Appended(0)),
            (at(2), Outcome::Conflict { version: 3 }),
            (at(4), Outcome::Conflict { version: 3 }),
            (at(0), Outcome::Conflict { version: 3 }),
        ];
        for (expected, outcome) in table {
            assert_eq!(
                outcomes(&[append(expected, &["a"], &[])], &facts),
                [outcome],
                "{expected:?}"
            );
        }
        assert_eq!(
            outcomes(&[append(at(0), &["a"], &[])], &Facts::default()),
            [Outcome::Appended(0)]
        );
    }

    #[test]
    fn requests_of_one_batch_see_each_others_versions() {
        let requests = [
            append(at(0), &["a", "b"], &[]),
            append(at(0), &["c"], &[]),
            append(at(2), &["d"], &[]),
            append(ANY, &["e"], &[]),
        ];
        let expected = [
            Outcome::Appended(1),
            Outcome::Conflict { version: 2 },
            Outcome::Appended(2),
            Outcome::Appended(3),
        ];
        assert_eq!(outcomes(&requests, &Facts::default()), expected);
    }

    #[test]
    fn a_duplicate_is_told_before_a_conflict() {
        let mut facts = Facts::default();
        let placed = stored(&mut facts, INBOX, "a", "");
        let requests = [
            append(at(0), &["a"], &[put("k", Some(9))]),
            append(ANY, &["b"], &[]),
            append(at(0), &["b"], &[]),
        ];
        let expected = [
            Outcome::Duplicate(placed),
            Outcome::Appended(0),
            Outcome::DuplicateInBatch(0),
        ];
        assert_eq!(outcomes(&requests, &facts), expected);
    }

    #[test]
    fn the_same_foreign_id_again_is_a_duplicate_whatever_it_says() {
        let mut facts = Facts::default();
        let placed = stored(&mut facts, INBOX, "a", "");
        let mut again = append(ANY, &["a"], &[]);
        if let Request::Append(append) = &mut again {
            append.entries[0].activity.cid = testing::cid("other words");
        }
        assert_eq!(outcomes(&[again], &facts), [Outcome::Duplicate(placed)]);
    }

    #[test]
    fn a_repeated_run_answers_its_last_and_a_part_of_one_is_refused() {
        let mut facts = Facts::default();
        stored(&mut facts, INBOX, "a", "");
        let last = stored(&mut facts, INBOX, "b", "");
        let requests = [append(ANY, &["a", "b"], &[]), append(ANY, &["b", "c"], &[])];
        let planned = outcomes(&requests, &facts);
        assert_eq!(planned[0], Outcome::Duplicate(last));
        assert!(
            matches!(&planned[1], Outcome::Refused(refusal) if refusal.code == Code::AlreadyExists),
            "{planned:?}"
        );
    }

    #[test]
    fn a_lost_compare_and_set_leaves_nothing_behind() {
        let conflict = KvConflict {
            space: "stock".to_owned(),
            key: "k".to_owned(),
            version: 0,
        };
        let requests = [
            append(ANY, &["a"], &[put("other", None), put("k", Some(5))]),
            append(at(0), &["a"], &[put("other", Some(0))]),
        ];
        let expected = [Outcome::KvConflict(conflict), Outcome::Appended(0)];
        assert_eq!(outcomes(&requests, &Facts::default()), expected);
    }
}
