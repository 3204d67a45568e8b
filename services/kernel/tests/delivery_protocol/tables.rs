//! The tables that fan-out folds, by the kernel's functions.

use std::collections::BTreeMap;

use fedsx_kernel::{
    activity::Activity,
    audience,
    cid::Cid,
    delivery::fan_out::{self, Member},
    follow::{Concern, Event, Relation},
    origin::Origin,
};

use crate::{
    entry::{self, FOLLOWERS},
    rules::Rules,
};

/// A row of the audience table.
#[derive(Clone)]
pub(crate) struct Row {
    follower: String,
    origin: Origin,
    pub cid: Cid,
    inbox: Option<String>,
    from: u64,
    to: Option<u64>,
}

/// The tables that fan-out folds.
#[derive(Clone, Default)]
pub(crate) struct Tables {
    relations: BTreeMap<String, Relation>,
    audience: Vec<Row>,
    blocks: Vec<(Origin, u64, Option<u64>)>,
}

impl Tables {
    pub(crate) fn fold(&mut self, rules: &Rules, event: &Event, position: u64) {
        match event {
            Event::Block { origin } => self.blocks.push((origin.clone(), position, None)),
            Event::Unblock { origin } => {
                for block in self
                    .blocks
                    .iter_mut()
                    .filter(|block| block.0 == *origin && block.2.is_none())
                {
                    block.2 = Some(position);
                }
            }
            _ => {}
        }
        let concerned: Vec<String> = match event.concerns() {
            Concern::Relation { follower, .. } => vec![follower.to_owned()],
            Concern::Peer(origin) => self
                .relations
                .keys()
                .filter(|id| origin.owns(id))
                .cloned()
                .collect(),
        };
        for follower in concerned {
            let before = self.relations.remove(&follower);
            let after = (rules.step)(before.clone(), event);
            let change = (rules.change)(event, position, before.as_ref(), after.as_ref());
            if let Some((cid, to)) = change.close {
                for row in self
                    .audience
                    .iter_mut()
                    .filter(|row| row.cid == cid && row.to.is_none())
                {
                    row.to = Some(to);
                }
            }
            if let Some(open) = change.open {
                let origin = Origin::of(&follower).unwrap();
                let (cid, inbox, from) = (open.follow_cid, open.inbox, open.from_position);
                self.audience.push(Row {
                    follower: follower.clone(),
                    origin,
                    cid,
                    inbox,
                    from,
                    to: None,
                });
            }
            if let Some(after) = after {
                self.relations.insert(follower, after);
            }
        }
    }

    /// The lanes that the entry at `position` owes.
    pub(crate) fn owed(&self, rules: &Rules, activity: &Activity, position: u64) -> u8 {
        let recipients = audience::recipients(activity, &entry::domain());
        let blocked = |origin: &Origin| {
            self.blocks
                .iter()
                .any(|block| block.0 == *origin && (rules.holds)(block.1, block.2, position))
        };
        let rows = self
            .audience
            .iter()
            .filter(|row| (rules.holds)(row.from, row.to, position));
        let members = rows.map(|row| Member {
            follower: &row.follower,
            address: fan_out::address(&row.follower, row.inbox.as_deref()),
            origin: &row.origin,
        });
        let owed = (rules.owed)(&recipients, members.collect(), &blocked);
        owed.iter()
            .fold(0, |lanes, address| lanes | 1 << entry::lane_at(&address.url))
    }

    /// The followers of a peer whose rows are open.
    pub(crate) fn open(&self, peer: u8) -> u8 {
        let followers = (0..FOLLOWERS).filter(|&f| entry::peer_of(f) == peer && self.row_of(f).is_some());
        followers.fold(0, |mask, f| mask | 1 << f)
    }

    pub(crate) fn row_of(&self, follower: u8) -> Option<&Row> {
        let id = entry::follower(follower);
        self.audience
            .iter()
            .find(|row| row.follower == id && row.to.is_none())
    }
}
