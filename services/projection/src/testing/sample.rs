//! Logs drawn at random, of actors that follow, answer, undo, write and block.

use fedsx_kernel::origin::Origin;
use proptest::prelude::*;
use serde_json::json;

use super::{ALICE, BASE, BOB, Story, person};

const CAROL: &str = "https://blog.example/actors/carol";
const EVE: &str = "https://shop.example/actors/eve";
const OURS: [&str; 2] = [ALICE, CAROL];
const THEIRS: [&str; 2] = [BOB, EVE];

/// One thing that somebody does; numbers choose who, and about which earlier entry.
#[derive(Debug, Clone)]
enum Deed {
    Follow(usize, usize),
    FollowThem(usize, usize),
    Answer(&'static str, usize),
    AnswerUs(&'static str, usize),
    Undo(usize),
    Actor(usize, bool),
    Object(&'static str, usize, usize),
    Block(usize),
    Unblock(usize),
    Gone(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let any = || any::<usize>();
    let answer = prop::sample::select(vec!["Accept", "Reject"]);
    let verb = prop::sample::select(vec!["Create", "Update", "Delete"]);
    prop_oneof![
        4 => (any(), any()).prop_map(|(who, whom)| Deed::Follow(who, whom)),
        2 => (any(), any()).prop_map(|(who, whom)| Deed::FollowThem(who, whom)),
        3 => (answer.clone(), any()).prop_map(|(verb, which)| Deed::Answer(verb, which)),
        1 => (answer, any()).prop_map(|(verb, which)| Deed::AnswerUs(verb, which)),
        2 => any().prop_map(Deed::Undo),
        1 => (any(), proptest::bool::ANY).prop_map(|(who, manual)| Deed::Actor(who, manual)),
        3 => (verb, any(), 0..4_usize).prop_map(|(verb, who, which)| Deed::Object(verb, who, which)),
        1 => any().prop_map(Deed::Block),
        1 => any().prop_map(Deed::Unblock),
        1 => any().prop_map(Deed::Gone),
    ]
}

/// A log of up to `most` entries.
pub(crate) fn story(most: usize) -> impl Strategy<Value = Story> {
    prop::collection::vec(deed(), 1..most).prop_map(|deeds| {
        let mut story = Story::default();
        for (serial, deed) in deeds.into_iter().enumerate() {
            tell(&mut story, serial, deed);
        }
        story
    })
}

fn tell(story: &mut Story, serial: usize, deed: Deed) {
    let pick = |from: [&'static str; 2], which: usize| from[which % 2];
    match deed {
        Deed::Follow(who, whom) => {
            let object = [ALICE, CAROL, BASE][whom % 3];
            story.received(
                pick(THEIRS, who),
                json!({"type": "Follow", "object": object, "serial": serial}),
            );
        }
        Deed::FollowThem(who, whom) => {
            let object = pick(THEIRS, whom);
            story.published(
                pick(OURS, who),
                json!({"type": "Follow", "object": object, "serial": serial}),
            );
        }
        Deed::Answer(verb, which) => {
            if let Some((id, _, object)) = earlier(story, "Follow", which) {
                story.published(&object, json!({"type": verb, "object": id, "serial": serial}));
            }
        }
        Deed::AnswerUs(verb, which) => {
            if let Some((id, actor, object)) = earlier(story, "Follow", which) {
                let follow = json!({"type": "Follow", "id": id, "actor": actor, "object": object});
                story.received(&object, json!({"type": verb, "object": follow, "serial": serial}));
            }
        }
        Deed::Undo(which) => {
            if let Some((id, actor, _)) = earlier(story, "Follow", which) {
                story.received(&actor, json!({"type": "Undo", "object": id, "serial": serial}));
            }
        }
        Deed::Actor(who, manual) => {
            let verb = if serial.is_multiple_of(2) {
                "Create"
            } else {
                "Update"
            };
            let name = if who.is_multiple_of(2) { "alice" } else { "carol" };
            story.published(
                BASE,
                json!({"type": verb, "object": person(name, manual), "serial": serial}),
            );
        }
        Deed::Object(verb, who, which) => {
            let id = format!("https://blog.example/objects/{which}");
            let object = json!({"id": id, "type": "Note", "serial": serial});
            story.published(pick(OURS, who), json!({"type": verb, "object": object}));
        }
        Deed::Block(whom) => {
            let peer = ["https://events.example/", "https://shop.example/"][whom % 2];
            story.decided(json!({"type": "Block", "object": peer, "serial": serial}));
        }
        Deed::Unblock(which) => {
            if let Some((id, _, _)) = earlier(story, "Block", which) {
                story.decided(json!({"type": "Undo", "object": id, "serial": serial}));
            }
        }
        Deed::Gone(which) => {
            if let Some((id, actor, _)) = earlier(story, "Follow", which) {
                let peer = Origin::of(&actor).unwrap().base();
                let entry = story
                    .entries
                    .iter()
                    .find(|entry| entry.activity_id == id)
                    .unwrap();
                let gone = json!({"type": "Gone", "object": peer, "follows": [entry.cid], "through": 0, "serial": serial});
                story.decided(gone);
            }
        }
    }
}

/// Id, actor and object of an earlier entry with this verb.
fn earlier(story: &Story, verb: &str, which: usize) -> Option<(String, String, String)> {
    let entries = story.entries();
    let found: Vec<_> = entries
        .iter()
        .filter(|entry| entry.activity.verb() == verb)
        .collect();
    let activity = &found.get(which % found.len().max(1))?.activity;
    let text = |text: &str| text.to_owned();
    Some((
        text(activity.id()),
        text(activity.actor()),
        text(activity.object_id()?),
    ))
}
