//! The entries of the stream `domain` that end follows, written and read: what operators and delivery decided.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Event;
use crate::{
    activity::{Activity, ActivityError, CONTEXT, cid_of},
    cid::Cid,
    origin::Origin,
};

/// An operator's block of a peer. `published` keeps a second block of the same peer apart from the first.
///
/// # Errors
/// None for a timestamp that JSON can carry; [`ActivityError`] is passed on rather than hidden.
pub fn block(domain: &Origin, peer: &Origin, published: Timestamp) -> Result<Activity, ActivityError> {
    sealed(
        domain,
        json!({"type": "Block", "object": peer.base(), "published": published.to_string()}),
    )
}

/// Lifts the block with this id.
///
/// # Errors
/// As [`block`].
pub fn unblock(domain: &Origin, block: &str, published: Timestamp) -> Result<Activity, ActivityError> {
    sealed(
        domain,
        json!({"type": "Undo", "object": block, "published": published.to_string()}),
    )
}

/// The end of a peer's follows: after 30 days parked (`through` = fan-out's cursor at the decision, so that what
/// is owed up to there ends dead), or after its inbox answered 410 (`through` = 0: deliveries are left alone). The same
/// decision is the same CID, hence one entry however often it is appended.
///
/// # Errors
/// As [`block`].
pub fn gone(
    domain: &Origin,
    peer: &Origin,
    follows: &[Cid],
    through: u64,
) -> Result<Activity, ActivityError> {
    let mut follows: Vec<&str> = follows.iter().map(Cid::as_str).collect();
    follows.sort_unstable();
    sealed(
        domain,
        json!({"type": "Gone", "object": peer.base(), "follows": follows, "through": through}),
    )
}

/// The base says it; unsigned, for it never leaves the domain.
pub(crate) fn sealed(domain: &Origin, said: Value) -> Result<Activity, ActivityError> {
    let mut document = Map::new();
    document.insert("@context".to_owned(), json!(CONTEXT));
    document.insert("actor".to_owned(), json!(domain.base()));
    if let Value::Object(said) = said {
        document.extend(said);
    }
    let id = domain.activity(&cid_of(&document)?);
    document.insert("id".to_owned(), json!(id));
    Activity::from_document(document)
}

/// What an entry of the stream `domain` decides; `referred` is the block that an Undo lifts.
pub(super) fn decided(activity: &Activity, referred: Option<&Activity>) -> Option<Event> {
    match activity.verb() {
        "Block" => Some(Event::Block {
            origin: Origin::of(activity.object_id()?).ok()?,
        }),
        "Undo" => {
            let block = referred.filter(|referred| Some(referred.id()) == activity.object_id())?;
            (block.verb() == "Block" && block.actor() == activity.actor()).then_some(())?;
            Some(Event::Unblock {
                origin: Origin::of(block.object_id()?).ok()?,
            })
        }
        "Gone" => Some(Event::Gone {
            origin: Origin::of(activity.object_id()?).ok()?,
            follows: cids(activity.document().get("follows")?)?,
            through: activity.document().get("through")?.as_u64()?,
        }),
        _ => None,
    }
}

fn cids(value: &Value) -> Option<Vec<Cid>> {
    value
        .as_array()?
        .iter()
        .map(|cid| cid.as_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        follow::{Inboxes, event, reference},
        stream::Stream,
    };

    fn home() -> Origin {
        "https://home.example".parse().unwrap()
    }

    fn peer() -> Origin {
        "https://a.example:8443".parse().unwrap()
    }

    const AT: Timestamp = Timestamp::constant(1_700_000_000, 0);

    #[test]
    fn what_was_decided_is_read_back() {
        let cids = [Cid::of_canonical(b"1"), Cid::of_canonical(b"2")];
        let gone = gone(&home(), &peer(), &cids, 12).unwrap();
        let Some(Event::Gone {
            origin,
            follows,
            through,
        }) = read(&gone, None)
        else {
            panic!("no Gone")
        };
        assert_eq!((origin, through), (peer(), 12));
        assert!(cids.iter().all(|cid| follows.contains(cid)) && follows.len() == 2);

        let block = block(&home(), &peer(), AT).unwrap();
        assert_eq!(read(&block, None), Some(Event::Block { origin: peer() }));
        let unblock = unblock(&home(), block.id(), AT).unwrap();
        assert_eq!(reference(&unblock), Some(block.id()));
        assert_eq!(
            read(&unblock, Some(&block)),
            Some(Event::Unblock { origin: peer() })
        );
        assert_eq!(read(&unblock, None), None);
        assert_eq!(read(&unblock, Some(&gone)), None);
    }

    fn read(activity: &Activity, referred: Option<&Activity>) -> Option<Event> {
        event(activity, &Stream::Domain, Inboxes::default(), referred)
    }

    #[test]
    fn only_the_domain_stream_decides() {
        let block = block(&home(), &peer(), AT).unwrap();
        for stream in [
            Stream::Outbox(home().base()),
            Stream::Inbox(home().base()),
            Stream::Flow("1".to_owned()),
        ] {
            assert_eq!(event(&block, &stream, Inboxes::default(), None), None, "{stream}");
        }
    }

    #[test]
    fn the_same_decision_is_one_entry_and_a_second_block_is_another() {
        let (one, two) = (Cid::of_canonical(b"1"), Cid::of_canonical(b"2"));
        let forth = gone(&home(), &peer(), &[one.clone(), two.clone()], 12).unwrap();
        let back = gone(&home(), &peer(), &[two, one], 12).unwrap();
        assert_eq!(forth.cid(), back.cid());
        let later = AT + jiff::SignedDuration::from_secs(1);
        assert_ne!(
            block(&home(), &peer(), AT).unwrap().cid(),
            block(&home(), &peer(), later).unwrap().cid()
        );
    }

    #[test]
    fn a_decision_is_named_by_its_cid() {
        let block = block(&home(), &peer(), AT).unwrap();
        assert_eq!(block.id(), home().activity(block.cid()));
        assert_eq!(
            (block.actor(), block.object_id()),
            ("https://home.example/", Some("https://a.example:8443/"))
        );
    }

    #[test]
    fn a_broken_decision_says_nothing() {
        let (cid, peer) = (Cid::of_canonical(b"1"), peer().base());
        for said in [
            json!({"type": "Gone", "object": peer, "follows": [cid]}),
            json!({"type": "Gone", "object": peer, "follows": ["bafy"], "through": 1}),
            json!({"type": "Gone", "object": peer, "follows": cid, "through": 1}),
            json!({"type": "Gone", "object": peer, "follows": [cid], "through": -1}),
            json!({"type": "Block"}),
            json!({"type": "Create", "object": peer}),
        ] {
            assert_eq!(
                read(&sealed(&home(), said.clone()).unwrap(), None),
                None,
                "{said}"
            );
        }
    }
}
