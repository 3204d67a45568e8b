//! A draft of a local actor.

use std::sync::Arc;

use fedsx_proto::v1::KvConflict;
use fedsx_runtime::code::{Code, Refusal};

use super::{Content, Outcome, Planned, Publish, Signer, State};
use crate::store::{Name, NameKind, UNIQUE_SPACE};

pub(super) fn decide(state: &mut State<'_>, request: usize, publish: &Publish) -> Outcome {
    let name = draft_key(publish);
    if let Some(outcome) = name.as_ref().and_then(|name| state.duplicate(name)) {
        return outcome;
    }
    let signer = match signer(state, publish) {
        Ok(signer) => signer,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    if publish.is_outdated {
        return Outcome::KvConflict(KvConflict {
            space: UNIQUE_SPACE.to_owned(),
            ..KvConflict::default()
        });
    }
    if let Some(conflict) = state.kv_conflict(&publish.kv) {
        return Outcome::KvConflict(conflict);
    }
    state.change(&publish.kv);
    if let Some(new) = &publish.creates {
        state.add_signer(new);
    }
    let planned = Planned {
        request,
        stream: publish.stream.clone(),
        version: state.version(&publish.stream) + 1,
        content: Content::Draft {
            actor: publish.actor.clone(),
            draft: Arc::clone(&publish.draft),
            signer,
        },
        meta: publish.meta(),
        draft_key: publish.idempotency_key.clone(),
        defines: publish.defines(),
    };
    Outcome::Appended(state.add(name, planned))
}

/// The duplicate that a draft is by its key.
pub(super) fn known(state: &State<'_>, publish: &Publish) -> Option<Outcome> {
    draft_key(publish).and_then(|name| state.duplicate(&name))
}

/// The key that the draft is signed with: the actor's, or the one drawn for it where the actor makes itself.
fn signer(state: &State<'_>, publish: &Publish) -> Result<Signer, Refusal> {
    if let Some(new) = &publish.creates {
        if state.signer(&new.actor).is_some() {
            return Err(Refusal::new(
                Code::AlreadyExists,
                format!("the actor {} exists", new.actor),
            ));
        }
        if new.actor == publish.actor {
            return Ok(Signer::New(new.key.clone()));
        }
    }
    state.signer(&publish.actor).ok_or_else(|| {
        Refusal::new(
            Code::NotFound,
            format!("there is no actor {} here", publish.actor),
        )
    })
}

pub(super) fn draft_key(publish: &Publish) -> Option<Name> {
    publish.idempotency_key.as_ref().map(|key| Name {
        stream: publish.stream.clone(),
        kind: NameKind::DraftKey,
        text: key.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        plan::{
            plan,
            testing::{ALICE, BASE, outcomes, publish, put, stored, with_actors},
        },
        store::Facts,
    };

    fn code(outcome: &Outcome) -> Option<Code> {
        match outcome {
            Outcome::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    #[test]
    fn a_key_is_used_once_whatever_else_the_request_says() {
        let mut facts = with_actors();
        let placed = stored(&mut facts, &format!("outbox/{ALICE}"), "a", "form-1");
        let requests = [
            publish(ALICE, "form-1", None, &[put("k", Some(9))]),
            publish(ALICE, "form-2", None, &[]),
            publish(ALICE, "form-2", None, &[]),
            publish(ALICE, "", None, &[]),
            publish(ALICE, "", None, &[]),
            publish(BASE, "form-1", None, &[]),
        ];
        let expected = [
            Outcome::Duplicate(placed),
            Outcome::Appended(0),
            Outcome::DuplicateInBatch(0),
            Outcome::Appended(1),
            Outcome::Appended(2),
            Outcome::Appended(3),
        ];
        assert_eq!(outcomes(&requests, &facts), expected);
    }

    #[test]
    fn nobody_publishes_before_being_created_and_everybody_after() {
        let requests = [
            publish(ALICE, "early", None, &[]),
            publish(BASE, "alice", Some(ALICE), &[]),
            publish(BASE, "base", Some(BASE), &[]),
            publish(BASE, "alice", Some(ALICE), &[]),
            publish(ALICE, "first", None, &[]),
        ];
        let planned = outcomes(&requests, &Facts::default());
        let codes: Vec<_> = planned.iter().map(code).collect();
        assert_eq!(
            codes,
            [Some(Code::NotFound), Some(Code::NotFound), None, None, None]
        );
    }

    #[test]
    fn a_name_is_given_once_unless_the_same_draft_asks_again() {
        let mut facts = with_actors();
        let placed = stored(&mut facts, &format!("outbox/{BASE}"), "alice's Create", "alice");
        let requests = [
            publish(BASE, "alice", Some(ALICE), &[]),
            publish(BASE, "another", Some(ALICE), &[]),
            publish(BASE, "base", Some(BASE), &[]),
            publish(BASE, "carol", Some("https://blog.example/actors/carol"), &[]),
            publish(
                BASE,
                "carol again",
                Some("https://blog.example/actors/carol"),
                &[],
            ),
        ];
        let planned = outcomes(&requests, &facts);
        assert_eq!(planned[0], Outcome::Duplicate(placed));
        let codes: Vec<_> = planned.iter().map(code).collect();
        let taken = Some(Code::AlreadyExists);
        assert_eq!(codes, [None, taken, taken, None, taken]);
    }

    #[test]
    fn a_refused_create_leaves_no_key_behind() {
        let facts = with_actors();
        let carol = "https://blog.example/actors/carol";
        let requests = [
            publish(BASE, "carol", Some(carol), &[]),
            publish(carol, "hello", None, &[]),
        ];
        let admitted = plan(&requests, &facts, &BTreeMap::new());
        assert_eq!(admitted.outcomes, [Outcome::Appended(0), Outcome::Appended(1)]);
        assert_eq!(
            admitted
                .kv
                .keys()
                .map(|(_, key)| key.as_str())
                .collect::<Vec<_>>(),
            [carol]
        );

        let refused = BTreeMap::from([(0, Refusal::new(Code::TooLarge, "too large"))]);
        let planned = plan(&requests, &facts, &refused);
        let codes: Vec<_> = planned.outcomes.iter().map(code).collect();
        assert_eq!(codes, [Some(Code::TooLarge), Some(Code::NotFound)]);
        assert!(planned.kv.is_empty() && planned.entries.is_empty());
    }

    #[test]
    fn a_draft_whose_compare_and_set_loses_is_not_sealed() {
        let facts = with_actors();
        let planned = plan(
            &[publish(ALICE, "", None, &[put("k", Some(1))])],
            &facts,
            &BTreeMap::new(),
        );
        assert!(matches!(planned.outcomes[..], [Outcome::KvConflict(_)]));
        assert!(planned.chains(&facts).is_empty());
    }
}
