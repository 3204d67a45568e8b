//! What must hold whatever broke: nothing acknowledged is lost, nothing is applied twice, every lane is in order, positions
//! have no gaps.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use crate::{Domain, Entry, Published, Stranger, domain::settle_within};

/// Ladders and holds of what failed meanwhile included.
const CONVERGE: Duration = Duration::from_secs(120);

/// Waits until nothing is under way at a sender and its receivers, and panics unless
///
/// * each log's positions are 1, 2, 3, …, each stream's versions too, and no stream has a CID twice;
/// * the actor's public activities are one chain;
/// * every acknowledged post is in the sender's log where it was said to be, and no post is there twice;
/// * each receiver's log has exactly the sender's posts, in the sender's order;
/// * each stranger received exactly these, first in the sender's order; what was answered by nobody may come again;
/// * the ledger has one delivered row for each post and each of them.
///
/// All receivers must have followed the actor before the first post, and nobody else.
pub async fn verify(
    sender: &Domain,
    actor: &str,
    acknowledged: &[Published],
    receivers: &[&Domain],
    strangers: &[&Stranger],
) {
    let domains: Vec<_> = std::iter::once(&sender).chain(receivers).copied().collect();
    settle_within(&domains, CONVERGE).await;
    for domain in &domains {
        let log = domain.log().await;
        assert_gapless(&log);
        assert_once(&log);
    }
    assert_chained(&sender.whole_outbox(actor).await);
    let outbox = sender.outbox(actor).await;
    assert_kept(&outbox, acknowledged);
    let sent = cids(&outbox);
    for receiver in receivers {
        let received = cids(&receiver.received(&sender.actor(actor)).await);
        assert_same(&sent, &received, receiver.origin().as_str());
    }
    for stranger in strangers {
        let received = stranger.received_verbs("Create");
        let mut seen = HashSet::new();
        let first: Vec<_> = received
            .iter()
            .filter_map(|activity| activity["id"].as_str())
            .filter(|id| seen.insert(*id))
            .filter_map(|id| Some(id.rsplit_once('/')?.1.to_owned()))
            .collect();
        assert_same(&sent, &first, stranger.origin().as_str());
    }
    let origins = receivers.iter().map(|receiver| receiver.origin());
    let origins = origins.chain(strangers.iter().map(|stranger| stranger.origin()));
    assert_delivered(sender, &sent, &origins.map(ToString::to_string).collect()).await;
}

/// Panics unless positions are 1, 2, 3, … and each stream's versions too.
pub fn assert_gapless(log: &[Entry]) {
    let mut versions = HashMap::new();
    for (entry, position) in log.iter().zip(1..) {
        assert_eq!(entry.position, position, "the log has a gap");
        let version = versions.entry(entry.stream.as_str()).or_insert(0);
        *version += 1;
        assert_eq!(entry.version, *version, "the stream {} has a gap", entry.stream);
    }
}

fn assert_once(log: &[Entry]) {
    let mut seen = HashSet::new();
    for entry in log {
        let (stream, cid) = (&entry.stream, &entry.cid);
        assert!(seen.insert((stream, cid)), "{stream} has {cid} twice");
    }
}

fn assert_chained(outbox: &[Entry]) {
    let mut prev = None;
    for entry in outbox.iter().filter(|entry| entry.public) {
        let told = entry.activity["prev"].as_str();
        assert_eq!(told, prev, "{} does not follow the one before", entry.id);
        prev = Some(entry.cid.as_str());
    }
}

fn assert_kept(outbox: &[Entry], acknowledged: &[Published]) {
    let at: HashMap<_, _> = outbox.iter().map(|entry| (entry.position, entry)).collect();
    for published in acknowledged {
        let kept = at.get(&published.position).map(|entry| entry.cid.as_str());
        assert_eq!(kept, Some(published.cid.as_str()), "{} is lost", published.id);
    }
    let mut names = HashSet::new();
    for entry in outbox.iter().filter(|entry| entry.verb() == "Create") {
        assert!(
            names.insert(entry.name()),
            "{:?} was published twice",
            entry.name()
        );
    }
}

fn assert_same(sent: &[String], received: &[String], by: &str) {
    let apart = sent
        .iter()
        .zip(received)
        .position(|(sent, received)| sent != received);
    assert!(
        sent == received,
        "{by} received {} of {} posts; the first difference is at {apart:?}",
        received.len(),
        sent.len()
    );
}

async fn assert_delivered(sender: &Domain, sent: &[String], origins: &BTreeSet<String>) {
    let mut rows: HashMap<String, Vec<String>> = HashMap::new();
    for row in sender.deliveries().await {
        if sent.contains(&row.cid) {
            assert_eq!(row.state, "delivered", "{row:?}");
            rows.entry(row.cid).or_default().push(row.origin);
        }
    }
    for cid in sent {
        let mut to = rows.remove(cid).unwrap_or_default();
        to.sort();
        assert!(
            to.iter().eq(origins),
            "{cid} is owed to {origins:?}; the ledger has {to:?}"
        );
    }
}

fn cids(entries: &[Entry]) -> Vec<String> {
    let created = entries.iter().filter(|entry| entry.verb() == "Create");
    created.map(|entry| entry.cid.clone()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An outbox of posts, each with its predecessor's CID.
    fn outbox(names: &[&str]) -> Vec<Entry> {
        let mut prev = None;
        let entries = names.iter().zip(1..).map(|(name, position)| {
            let cid = format!("cid of {name} at {position}");
            let entry = Entry {
                position,
                stream: "outbox/author".to_owned(),
                version: position,
                id: format!("http://127.0.0.1/activities/{cid}"),
                public: true,
                body: Vec::new(),
                activity: json!({ "type": "Create", "object": { "name": name }, "prev": prev.take() }),
                verified_by: String::new(),
                remarks: Vec::new(),
                cid,
            };
            prev = Some(entry.cid.clone());
            entry
        });
        entries.collect()
    }

    fn published(entry: &Entry) -> Published {
        Published {
            id: entry.id.clone(),
            cid: entry.cid.clone(),
            position: entry.position,
            duplicate: false,
        }
    }

    #[test]
    fn a_sound_log_passes() {
        let log = outbox(&["a", "b", "c"]);
        assert_gapless(&log);
        assert_once(&log);
        assert_chained(&log);
        assert_kept(&log, &[published(&log[0]), published(&log[2])]);
        assert_same(&cids(&log), &cids(&log), "a peer");
    }

    #[test]
    #[should_panic(expected = "the log has a gap")]
    fn a_missing_position_is_seen() {
        let mut log = outbox(&["a", "b", "c"]);
        log.remove(1);
        assert_gapless(&log);
    }

    #[test]
    #[should_panic(expected = "the stream inbox/b has a gap")]
    fn a_missing_version_is_seen() {
        let mut log = outbox(&["a", "b"]);
        log[1].stream = "inbox/b".to_owned();
        assert_gapless(&log);
    }

    #[test]
    #[should_panic(expected = "twice")]
    fn an_entry_that_is_there_twice_is_seen() {
        let mut log = outbox(&["a", "b"]);
        log[1].cid = log[0].cid.clone();
        assert_once(&log);
    }

    #[test]
    #[should_panic(expected = "does not follow the one before")]
    fn a_fork_of_the_chain_is_seen() {
        let mut log = outbox(&["a", "b", "c"]);
        log[2].activity["prev"] = log[0].cid.clone().into();
        assert_chained(&log);
    }

    #[test]
    #[should_panic(expected = "is lost")]
    fn what_was_acknowledged_and_is_not_there_is_seen() {
        let mut log = outbox(&["a", "b"]);
        let lost = published(&log[1]);
        log.truncate(1);
        assert_kept(&log, &[lost]);
    }

    #[test]
    #[should_panic(expected = "was published twice")]
    fn a_post_that_was_sealed_twice_is_seen() {
        assert_kept(&outbox(&["a", "a"]), &[]);
    }

    #[test]
    #[should_panic(expected = "the first difference is at Some(1)")]
    fn another_order_is_seen() {
        let mut received = cids(&outbox(&["a", "b", "c"]));
        received.swap(1, 2);
        assert_same(&cids(&outbox(&["a", "b", "c"])), &received, "a peer");
    }
}
