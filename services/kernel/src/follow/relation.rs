//! One actor's wish to follow another, and what became of it.

use serde::{Deserialize, Serialize};

use super::Event;
use crate::cid::Cid;

/// A Follow activity, as far as the relation needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// The CID of the Follow activity.
    pub cid: Cid,
    /// The id of the Follow activity.
    pub id: String,
    /// Where the follower takes deliveries: its server's shared inbox, else its own; none where the entry did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<String>,
}

/// How a relation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelationState {
    Requested,
    Accepted,
    Rejected,
}

/// The relation of one follower to one followed actor. Its JSON is what views keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// What became of `follow`.
    pub state: RelationState,
    /// The Follow that `state` is about.
    pub follow: Follow,
    /// A later Follow of the same two that waits for its own answer while `follow` keeps its state: followers ask again
    /// when they have lost their memory, or no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<Follow>,
}

/// The next state of a relation that `event` concerns; none: there is no relation.
///
/// * An Accept counts only for a Follow that was asked and not undone.
/// * Undo, Reject and Gone of the newest Follow end the relation; of an older one they end that one alone, and the newer
///   Follow goes on as a request. So a late Undo of an old Follow never ends the new one.
/// * An answer that names no Follow by id means the newest.
/// * An answer to a Follow that this relation does not know changes nothing.
#[must_use]
pub fn step(relation: Option<Relation>, event: &Event) -> Option<Relation> {
    match event {
        Event::Follow { follow, .. } => Some(asked(relation, follow)),
        Event::Accept { id, .. } => relation.map(|relation| accepted(relation, id.as_deref())),
        Event::Reject { id, .. } => relation.map(|relation| rejected(relation, id.as_deref())),
        Event::Undo { id, .. } => ended(relation?, |follow| id.as_deref().is_none_or(|id| follow.id == id)),
        Event::Gone { follows, .. } => ended(relation?, |follow| follows.contains(&follow.cid)),
        Event::Block { .. } => None,
        Event::Unblock { .. } => relation,
    }
}

impl Relation {
    /// The Follow that was asked last, by which the two talk about the relation from now on.
    #[must_use]
    pub fn newest(&self) -> &Follow {
        self.newer.as_ref().unwrap_or(&self.follow)
    }

    /// Whether the follower takes deliveries of the followed actor.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.state == RelationState::Accepted
    }

    /// Whether the follower accepts what the followed actor sends: it has asked, and was not turned away. The Accept may
    /// travel by another inbox than the posts that follow it, so having asked must be enough.
    #[must_use]
    pub fn admits(&self) -> bool {
        self.state != RelationState::Rejected
    }

    /// Whether the newest Follow still waits for its answer.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.newer.is_some() || self.state == RelationState::Requested
    }

    fn requested(follow: Follow) -> Self {
        Self {
            state: RelationState::Requested,
            follow,
            newer: None,
        }
    }
}

fn asked(relation: Option<Relation>, follow: &Follow) -> Relation {
    match relation {
        Some(known) if known.newest().cid == follow.cid || known.follow.cid == follow.cid => known,
        Some(known) if known.state != RelationState::Rejected => Relation {
            newer: Some(follow.clone()),
            ..known
        },
        _ => Relation::requested(follow.clone()),
    }
}

fn accepted(relation: Relation, id: Option<&str>) -> Relation {
    let named = |follow: &Follow| id.is_none_or(|id| follow.id == id);
    match relation.newer {
        Some(newer) if named(&newer) => Relation {
            state: RelationState::Accepted,
            follow: newer,
            newer: None,
        },
        newer if named(&relation.follow) => Relation {
            state: RelationState::Accepted,
            newer,
            ..relation
        },
        newer => Relation { newer, ..relation },
    }
}

fn rejected(relation: Relation, id: Option<&str>) -> Relation {
    let newest = relation.newest().clone();
    let names = |follow: &Follow| id.is_none_or(|id| follow.id == id);
    ended(relation, names).unwrap_or(Relation {
        state: RelationState::Rejected,
        follow: newest,
        newer: None,
    })
}

/// The relation without the Follow that `names` means.
fn ended(relation: Relation, names: impl Fn(&Follow) -> bool) -> Option<Relation> {
    match relation.newer {
        None if names(&relation.follow) => None,
        Some(newer) if names(&newer) => None,
        Some(newer) if names(&relation.follow) => Some(Relation::requested(newer)),
        newer => Some(Relation { newer, ..relation }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(n: u8) -> Follow {
        Follow {
            cid: Cid::of_canonical(&[n]),
            id: format!("https://a.example/follows/{n}"),
            inbox: None,
        }
    }

    fn parties() -> (String, String) {
        (
            "https://home.example/".to_owned(),
            "https://a.example/users/1".to_owned(),
        )
    }

    /// Folds a script: `F1` asks by Follow 1, `A1` accepts, `R1` rejects, `U1` undoes, `G1` gives up what it names,
    /// `B` blocks and `N` lifts the block; `A` without a number names no Follow.
    fn folded(script: &str) -> Option<Relation> {
        script.split_whitespace().fold(None, |relation, word| {
            let (verb, number) = word.split_at(1);
            let number: Option<u8> = number.parse().ok();
            let id = number.map(|n| follow(n).id);
            let (followed, follower) = parties();
            let origin = "https://a.example".parse().unwrap();
            let event = match verb {
                "F" => Event::Follow {
                    followed,
                    follower,
                    follow: follow(number.unwrap()),
                },
                "A" => Event::Accept {
                    followed,
                    follower,
                    id,
                },
                "R" => Event::Reject {
                    followed,
                    follower,
                    id,
                },
                "U" => Event::Undo {
                    followed,
                    follower,
                    id,
                },
                "G" => Event::Gone {
                    origin,
                    follows: number.map(|n| follow(n).cid).into_iter().collect(),
                    through: 9,
                },
                "B" => Event::Block { origin },
                _ => Event::Unblock { origin },
            };
            step(relation, &event)
        })
    }

    fn short(relation: Option<Relation>) -> String {
        let Some(relation) = relation else {
            return "none".to_owned();
        };
        let number = |follow: &Follow| follow.id.rsplit_once('/').unwrap().1.to_owned();
        let newer = relation
            .newer
            .as_ref()
            .map(|newer| format!(", {} asked", number(newer)))
            .unwrap_or_default();
        format!("{:?} {}{newer}", relation.state, number(&relation.follow))
    }

    #[test]
    fn scripts_end_as_they_should() {
        let table = [
            ("F1", "Requested 1"),
            ("F1 F1", "Requested 1"),
            ("F1 A1", "Accepted 1"),
            ("F1 A", "Accepted 1"),
            ("F1 A1 A1", "Accepted 1"),
            ("F1 R1", "Rejected 1"),
            ("F1 A1 R1", "Rejected 1"),
            ("F1 R1 A1", "Accepted 1"),
            ("F1 R1 F2", "Requested 2"),
            ("F1 R1 F2 A1", "Requested 2"),
            ("F1 U1", "none"),
            ("F1 U", "none"),
            ("F1 A1 U1", "none"),
            ("F1 R1 U1", "none"),
            // Nothing comes of an answer to what was not asked, or is undone.
            ("A1", "none"),
            ("R1", "none"),
            ("U1", "none"),
            ("F1 U1 A1", "none"),
            ("F1 U1 F2 A1", "Requested 2"),
            ("F1 A2", "Requested 1"),
            ("F1 R2", "Requested 1"),
            ("F1 U2", "Requested 1"),
            // Asked again: the old answer stands until the new one comes.
            ("F1 F2", "Requested 1, 2 asked"),
            ("F1 F2 A1", "Accepted 1, 2 asked"),
            ("F1 F2 A2", "Accepted 2"),
            ("F1 F2 A", "Accepted 2"),
            ("F1 F2 A1 A2", "Accepted 2"),
            ("F1 A1 F2", "Accepted 1, 2 asked"),
            ("F1 A1 F2 F3", "Accepted 1, 3 asked"),
            ("F1 A1 F2 F3 A2", "Accepted 1, 3 asked"),
            ("F1 A1 F2 A2 A1", "Accepted 2"),
            ("F1 A1 F2 R2", "Rejected 2"),
            ("F1 A1 F2 R1", "Requested 2"),
            ("F1 A1 F2 A2 R1", "Accepted 2"),
            // A late Undo of the old Follow does not end the new one; one of the new Follow ends both.
            ("F1 A1 F2 U1", "Requested 2"),
            ("F1 A1 F2 A2 U1", "Accepted 2"),
            ("F1 F2 U1", "Requested 2"),
            ("F1 A1 F2 U2", "none"),
            ("F1 F2 U2 A1", "none"),
            ("F1 A1 F2 U", "none"),
            // What operators and delivery decide.
            ("F1 A1 B", "none"),
            ("F1 A1 F2 B N", "none"),
            ("F1 A1 N", "Accepted 1"),
            ("F1 A1 G1", "none"),
            ("F1 A1 G2", "Accepted 1"),
            ("F1 A1 G", "Accepted 1"),
            ("F1 A1 F2 G1", "Requested 2"),
            ("F1 A1 F2 A2 G1", "Accepted 2"),
        ];
        for (script, expected) in table {
            assert_eq!(short(folded(script)), expected, "{script}");
        }
    }

    #[test]
    fn who_has_asked_is_told_until_turned_away() {
        for (script, admits, waits) in [
            ("F1", true, true),
            ("F1 A1", true, false),
            ("F1 R1", false, false),
            ("F1 A1 F2", true, true),
        ] {
            let relation = folded(script).unwrap();
            assert_eq!(
                (relation.admits(), relation.is_waiting()),
                (admits, waits),
                "{script}"
            );
        }
    }

    #[test]
    fn the_newest_follow_is_the_one_to_talk_about() {
        assert_eq!(folded("F1 A1 F2").unwrap().newest(), &follow(2));
        assert_eq!(folded("F1 A1").unwrap().newest(), &follow(1));
    }

    #[test]
    fn a_relation_survives_its_json() {
        for script in ["F1", "F1 A1 F2", "F1 R1"] {
            let relation = folded(script).unwrap();
            let json = serde_json::to_string(&relation).unwrap();
            assert_eq!(
                serde_json::from_str::<Relation>(&json).unwrap(),
                relation,
                "{json}"
            );
        }
        let json = serde_json::to_value(folded("F1").unwrap()).unwrap();
        let follow = serde_json::json!({"cid": follow(1).cid, "id": follow(1).id});
        assert_eq!(json, serde_json::json!({"state": "requested", "follow": follow}));
    }
}
