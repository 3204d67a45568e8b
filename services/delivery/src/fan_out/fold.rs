//! The audience that a batch of entries leaves: who follows whom, folded by the kernel, written by position.

use std::collections::{BTreeMap, BTreeSet};

use fedsx_kernel::{
    delivery::audience::{Change, change},
    follow::{Concern, Event, Relation, step},
    origin::Origin,
};

use super::entry::Noted;
use crate::ledger::{RelationKey, Result, Turn};

/// Folds the events of a batch. Rows hold from one position to another, so all of them may be written before the first
/// entry is sent.
pub(crate) async fn fold(turn: &mut dyn Turn, domain: &Origin, noted: &[Noted]) -> Result<()> {
    let events: Vec<_> = noted
        .iter()
        .filter_map(|entry| Some((entry.position, entry.event.as_ref()?)))
        .collect();
    if events.is_empty() {
        return Ok(());
    }
    let mut relations = read(turn, domain, &events).await?;
    let (mut touched, mut changes) = (BTreeSet::new(), Vec::new());
    for (position, event) in events {
        for key in concerned(domain, event, &relations) {
            let before = relations.remove(&key);
            let after = step(before.clone(), event);
            let change = change(event, position, before.as_ref(), after.as_ref());
            if change != Change::default() {
                changes.push((key.clone(), change));
            }
            if let Some(after) = after {
                relations.insert(key.clone(), after);
            }
            touched.insert(key);
        }
        match event {
            Event::Block { origin } => turn.block(origin, position).await?,
            Event::Unblock { origin } => turn.unblock(origin, position).await?,
            _ => {}
        }
    }
    let written: Vec<_> = touched
        .into_iter()
        .map(|key| (key.clone(), relations.remove(&key)))
        .collect();
    turn.put_relations(&written).await?;
    turn.change_audience(&changes).await
}

/// The relations that the events may change, as they stand.
async fn read(
    turn: &mut dyn Turn,
    domain: &Origin,
    events: &[(u64, &Event)],
) -> Result<BTreeMap<RelationKey, Relation>> {
    let (mut keys, mut peers) = (Vec::new(), Vec::new());
    for (_, event) in events {
        match event.concerns() {
            Concern::Relation { followed, follower } => keys.extend(key(domain, followed, follower)),
            Concern::Peer(origin) => peers.push(origin.clone()),
        }
    }
    let mut relations = turn.relations(&keys).await?;
    if !peers.is_empty() {
        relations.extend(turn.relations_with(&peers).await?);
    }
    Ok(relations)
}

/// The keys of the relations that an event concerns.
fn concerned(
    domain: &Origin,
    event: &Event,
    relations: &BTreeMap<RelationKey, Relation>,
) -> Vec<RelationKey> {
    match event.concerns() {
        Concern::Relation { followed, follower } => key(domain, followed, follower).into_iter().collect(),
        Concern::Peer(origin) => relations
            .keys()
            .filter(|key| key.origin == *origin)
            .cloned()
            .collect(),
    }
}

/// A relation of a follower elsewhere to an actor of ours; of no other is there an audience.
fn key(domain: &Origin, followed: &str, follower: &str) -> Option<RelationKey> {
    let origin = Origin::of(follower).ok().filter(|origin| origin != domain)?;
    domain.owns(followed).then(|| RelationKey {
        actor: followed.to_owned(),
        follower: follower.to_owned(),
        origin,
    })
}
