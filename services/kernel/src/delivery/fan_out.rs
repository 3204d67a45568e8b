//! Which lanes an entry owes a delivery, and when fan-out has work.

use std::collections::BTreeMap;

use crate::{audience::Recipients, origin::Origin};

/// A follower of the entry's actor whose audience row [holds](super::audience::holds) at the entry's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The follower's id. Where the audience was read grouped by address, any follower of the group.
    pub follower: &'a str,
    /// Where it takes deliveries, see [`address`].
    pub address: &'a str,
    pub origin: &'a Origin,
}

/// Where one lane of a local actor leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A (shared) inbox, or the id of an actor or base whose inbox the worker looks up when it sends.
    pub url: String,
    pub origin: Origin,
}

/// A follower's address: its inbox where the log tells it, else its id.
#[must_use]
pub fn address<'a>(follower: &'a str, inbox: Option<&'a str>) -> &'a str {
    inbox.unwrap_or(follower)
}

/// Whether fan-out's transaction runs: the log is ahead of the cursor, or a parked origin [waits](super::peer::Peer::waits),
/// which would wait for ever in an idle log.
#[must_use]
pub fn due(cursor: u64, head: u64, waiting: bool) -> bool {
    cursor < head || waiting
}

/// The addresses that an entry owes a delivery, each once, in order: those of the followers where they are addressed,
/// and those of the addressees by name (a follower's by its audience row, so that what it gets stays in one lane;
/// anybody else's id). Blocked origins are owed nothing.
///
/// `audience` holds the actor's members at the entry's position: all of them, or, where followers are not addressed, at
/// least those among `recipients.actors`. `blocked` answers for the entry's position.
///
/// Whether an owed address gets its row now is [`Peer::takes_rows`](super::peer::Peer::takes_rows).
#[must_use]
pub fn owed<'a>(
    recipients: &Recipients,
    audience: impl IntoIterator<Item = Member<'a>>,
    blocked: impl Fn(&Origin) -> bool,
) -> Vec<Address> {
    let mut named: BTreeMap<&str, Option<Member<'a>>> = recipients
        .actors
        .iter()
        .map(|actor| (actor.as_str(), None))
        .collect();
    let mut owed = BTreeMap::new();
    for member in audience {
        if recipients.followers {
            owed.insert(member.address.to_owned(), member.origin.clone());
        }
        if let Some(found) = named.get_mut(member.follower) {
            *found = Some(member);
        }
    }
    for (actor, member) in named {
        match member {
            Some(member) => {
                owed.insert(member.address.to_owned(), member.origin.clone());
            }
            None => {
                if let Ok(origin) = Origin::of(actor) {
                    owed.insert(actor.to_owned(), origin);
                }
            }
        }
    }
    owed.retain(|_, origin| !blocked(origin));
    owed.into_iter()
        .map(|(url, origin)| Address { url, origin })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "https://a.example/inbox";
    const OWN: &str = "https://b.example/users/3/inbox";

    /// Two followers behind a shared inbox, one with its own.
    fn owed_by(followers: bool, named: &[&str], blocked: Option<&str>) -> Vec<String> {
        let (a, b) = (
            Origin::of("https://a.example").unwrap(),
            Origin::of("https://b.example").unwrap(),
        );
        let audience = [
            Member {
                follower: "https://a.example/users/1",
                address: SHARED,
                origin: &a,
            },
            Member {
                follower: "https://a.example/users/2",
                address: SHARED,
                origin: &a,
            },
            Member {
                follower: "https://b.example/users/3",
                address: OWN,
                origin: &b,
            },
        ];
        let actors = named.iter().map(|&actor| actor.to_owned()).collect();
        let owed = owed(&Recipients { followers, actors }, audience, |origin| {
            Some(origin.as_str()) == blocked
        });
        owed.into_iter()
            .map(|address| format!("{} at {}", address.url, address.origin))
            .collect()
    }

    #[test]
    fn each_address_is_owed_once() {
        let a = "https://a.example/inbox at https://a.example";
        let b = "https://b.example/users/3/inbox at https://b.example";
        let base = "https://c.example/ at https://c.example";
        let table: [(bool, &[&str], &[&str]); 6] = [
            (true, &[], &[a, b]),
            (false, &[], &[]),
            (false, &["https://a.example/users/2"], &[a]),
            (
                true,
                &["https://a.example/users/1", "https://c.example/"],
                &[a, b, base],
            ),
            (false, &["https://c.example/", "https://c.example/"], &[base]),
            (false, &["not a url", "urn:x:y"], &[]),
        ];
        for (followers, named, expected) in table {
            assert_eq!(owed_by(followers, named, None), expected, "{followers} {named:?}");
        }
    }

    #[test]
    fn blocked_origins_are_owed_nothing_not_even_by_name() {
        let named = ["https://a.example/users/1", "https://a.example/"];
        assert_eq!(
            owed_by(true, &named, Some("https://a.example")),
            [format!("{OWN} at https://b.example")]
        );
    }

    #[test]
    fn a_follower_whose_inbox_is_unknown_is_addressed_by_its_id() {
        assert_eq!(
            address("https://a.example/users/1", None),
            "https://a.example/users/1"
        );
        assert_eq!(address("https://a.example/users/1", Some(SHARED)), SHARED);
    }

    #[test]
    fn it_runs_for_entries_and_for_origins_that_wait() {
        for (cursor, head, waiting, expected) in [
            (3, 3, false, false),
            (3, 4, false, true),
            (3, 3, true, true),
            (0, 0, true, true),
        ] {
            assert_eq!(due(cursor, head, waiting), expected, "{cursor} {head} {waiting}");
        }
    }
}
