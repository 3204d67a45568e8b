//! The entries of a script, as real activities.

use fedsx_kernel::{
    activity::{Activity, CONTEXT, cid_of},
    actor,
    cid::Cid,
    follow::{self, Inboxes},
    origin::Origin,
    stream::Stream,
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What happens in the log. `Follow(f, n)` is follower f's n-th Follow of our one actor; followers 0 and 3 share the
/// inbox of lane 0, 1 has lane 1, 2 has lane 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// To the followers.
    Post,
    /// To one follower by name.
    Direct(u8),
    Follow(u8, u8),
    Accept(u8, u8),
    /// As another server's software has it: the Accept goes to the personal inbox, what follows to the shared one.
    AcceptAside(u8, u8),
    Reject(u8, u8),
    Undo(u8, u8),
    Block(u8),
    Unblock(u8),
    /// Names the follows that these followers (a mask) had at position `through`.
    Gone {
        origin: u8,
        followers: u8,
        through: u8,
    },
}

pub(crate) const FOLLOWERS: u8 = 4;

pub(crate) fn domain() -> Origin {
    origin("https://home.example")
}

pub(crate) fn peer(index: u8) -> Origin {
    origin(if index == 0 {
        "https://a.example"
    } else {
        "https://b.example"
    })
}

fn origin(url: &str) -> Origin {
    Origin::of(url).unwrap()
}

pub(crate) fn local_actor() -> String {
    domain().actor("alice")
}

pub(crate) fn follower(index: u8) -> String {
    peer(peer_of(index)).actor(&format!("f{index}"))
}

pub(crate) fn peer_of(follower: u8) -> u8 {
    u8::from(follower == 2)
}

/// The lane that a follower's deliveries go through.
pub(crate) fn lane_of(follower: u8) -> u8 {
    [0, 1, 2, 0][usize::from(follower)]
}

/// The lane of an address that the kernel gave.
pub(crate) fn lane_at(url: &str) -> u8 {
    match url {
        "https://a.example/inbox" => 0,
        // Who is no follower (any more) is written to by its id.
        "https://a.example/actors/f1/inbox" => 1,
        "https://a.example/actors/f0" | "https://a.example/actors/f1" | "https://a.example/actors/f3" => 1,
        "https://b.example/actors/f2/inbox" | "https://b.example/actors/f2" => 2,
        other => panic!("no lane leads to {other}"),
    }
}

fn follow_id(follower: u8, nth: u8) -> String {
    peer(peer_of(follower)).object(&format!("follows/f{follower}/{nth}"))
}

pub(crate) fn shares_an_inbox(follower: u8) -> bool {
    lane_of(follower) == 0
}

/// Where a follower's entries say that it takes deliveries.
pub(crate) fn inboxes(follower: u8) -> (String, String) {
    let shared = if shares_an_inbox(follower) {
        peer(peer_of(follower)).shared_inbox()
    } else {
        String::new()
    };
    (format!("{}/inbox", self::follower(follower)), shared)
}

/// An entry's stream, activity and `meta`; `earlier` are the activities before it, `cids` those of the follows that a `Gone`
/// names, `offset` where the script's position 0 lies in the log.
pub(crate) fn written(entry: Entry, earlier: &[Activity], cids: &[Cid], offset: u64) -> (Stream, Activity) {
    let alice = local_actor();
    let nth = earlier.len();
    let at = Timestamp::constant(1_900_000_000, 0);
    match entry {
        Entry::Post => ours(
            json!({"type": "Create", "to": [actor::followers(&alice)], "object":
            {"type": "Note", "attributedTo": alice, "content": nth.to_string()}}),
        ),
        Entry::Direct(f) => ours(json!({"type": "Create", "to": [follower(f)], "object":
            {"type": "Note", "attributedTo": alice, "content": nth.to_string()}})),
        Entry::Follow(f, n) => theirs(f, &format!("follow-{n}"), follow(f, n)),
        Entry::Accept(f, n) | Entry::AcceptAside(f, n) => {
            ours(json!({"type": "Accept", "to": [follower(f)], "object": follow_id(f, n)}))
        }
        Entry::Reject(f, n) => {
            ours(json!({"type": "Reject", "to": [follower(f)], "object": follow_id(f, n)}))
        }
        Entry::Undo(f, n) => theirs(
            f,
            &format!("undo-{n}"),
            json!({"type": "Undo", "object": follow(f, n)}),
        ),
        Entry::Block(o) => (Stream::Domain, follow::block(&domain(), &peer(o), at).unwrap()),
        Entry::Unblock(o) => {
            let base = peer(o).base();
            let block = earlier
                .iter()
                .rfind(|activity| activity.verb() == "Block" && activity.object_id() == Some(&base));
            (
                Stream::Domain,
                follow::unblock(&domain(), block.unwrap().id(), at).unwrap(),
            )
        }
        Entry::Gone { origin, through, .. } => {
            let gone = follow::gone(&domain(), &peer(origin), cids, offset + u64::from(through));
            (Stream::Domain, gone.unwrap())
        }
    }
}

fn follow(f: u8, n: u8) -> Value {
    json!({"type": "Follow", "id": follow_id(f, n), "actor": follower(f), "object": local_actor()})
}

fn ours(said: Value) -> (Stream, Activity) {
    let mut document = said.as_object().unwrap().clone();
    document.insert("@context".to_owned(), json!(CONTEXT));
    document.insert("actor".to_owned(), json!(local_actor()));
    let id = domain().activity(&cid_of(&document).unwrap());
    document.insert("id".to_owned(), json!(id));
    (
        Stream::Outbox(local_actor()),
        Activity::from_document(document).unwrap(),
    )
}

fn theirs(f: u8, name: &str, said: Value) -> (Stream, Activity) {
    let mut document = said.as_object().unwrap().clone();
    document.insert("@context".to_owned(), json!(CONTEXT));
    document.insert("actor".to_owned(), json!(follower(f)));
    document.insert("to".to_owned(), json!([local_actor()]));
    let unnamed = json!(peer(peer_of(f)).object(&format!("{name}/f{f}")));
    document.entry("id").or_insert(unnamed);
    (
        Stream::Inbox(follower(f)),
        Activity::from_document(document).unwrap(),
    )
}

/// What the log says of an entry, by the kernel.
pub(crate) fn event(
    entry: Entry,
    stream: &Stream,
    activity: &Activity,
    earlier: &[Activity],
) -> Option<follow::Event> {
    let (own, shared) = match entry {
        Entry::Follow(f, _) | Entry::Undo(f, _) => inboxes(f),
        _ => Default::default(),
    };
    let referred =
        follow::reference(activity).and_then(|id| earlier.iter().find(|activity| activity.id() == id));
    follow::event(activity, stream, Inboxes::new(&own, &shared), referred)
}

/// How a follower itself sees its relation to us, before or after it has the Accept.
pub(crate) fn relation(f: u8, accepted: bool) -> Option<follow::Relation> {
    let (stream, asked) = written(Entry::Follow(f, 1), &[], &[], 0);
    let asked_event = event(Entry::Follow(f, 1), &stream, &asked, &[])?;
    let relation = follow::step(None, &asked_event);
    let earlier = [asked];
    let (stream, accept) = written(Entry::Accept(f, 1), &earlier, &[], 0);
    let accept_event = event(Entry::Accept(f, 1), &stream, &accept, &earlier)?;
    if accepted {
        follow::step(relation, &accept_event)
    } else {
        relation
    }
}
