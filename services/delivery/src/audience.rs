//! What an entry owes, and to whom: the rows that fan-out and catch-up write.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fedsx_kernel::{
    delivery::{
        audience::holds,
        fan_out::{self, Member, owed},
    },
    flow::Webhook,
    origin::Origin,
};
use fedsx_runtime::telemetry;

use crate::{
    fan_out::entry::Noted,
    lane::AddressKind,
    ledger::{Audience, Members, NewDelivery, Result, Turn, Whom},
};

/// Longest id of an actor that signs. Bytes. With the longest URL it must fit into a key of the ledger's.
const MAX_ACTOR: usize = 500;

/// The rows that an entry owes by the audience at its position, of one origin or of all. Blocked peers are owed nothing;
/// whether an origin takes its rows now is the caller's to ask.
pub(crate) async fn rows(
    turn: &mut dyn Turn,
    domain: &Origin,
    entry: &Noted,
    only: Option<&Origin>,
) -> Result<Vec<NewDelivery>> {
    let Some(recipients) = &entry.recipients else {
        return Ok(Vec::new());
    };
    let whom = match (recipients.followers, recipients.actors.as_slice()) {
        (true, named) => Whom::All(named),
        (false, []) => return Ok(Vec::new()),
        (false, named) => Whom::Named(named),
    };
    let actor = entry.activity.actor();
    let audience = turn
        .members(Members {
            actor,
            position: entry.position,
            whom,
            origin: only,
        })
        .await?;
    let origins: BTreeSet<Origin> = audience
        .iter()
        .map(|member| member.origin.clone())
        .chain(
            recipients
                .actors
                .iter()
                .filter_map(|actor| Origin::of(actor).ok()),
        )
        .collect();
    let blocks = turn.blocks(&Vec::from_iter(origins)).await?;
    let blocked = |origin: &Origin| is_blocked(&blocks, origin, entry.position);
    let inboxes: HashSet<&str> = audience
        .iter()
        .filter_map(|member| member.inbox.as_deref())
        .collect();
    let mut owed = owed(recipients, audience.iter().map(member), blocked);
    owed.retain(|address| address.origin != *domain && only.is_none_or(|only| address.origin == *only));
    if owed.is_empty() {
        return Ok(Vec::new());
    }
    let trace = trace(entry, owed.len());
    let rows = owed.into_iter().map(|address| NewDelivery {
        actor: actor.to_owned(),
        kind: if inboxes.contains(address.url.as_str()) {
            AddressKind::Inbox
        } else {
            AddressKind::Actor
        },
        address: address.url,
        origin: address.origin,
        position: entry.position,
        cid: entry.cid.clone(),
        trace: trace.clone(),
        awaited: false,
    });
    Ok(rows.collect())
}

/// The row that a webhook is owed by. One that can never be posted goes to the domain itself in the ledger, and
/// [to nobody](crate::webhook::Posting::is_for) when its turn comes, so that its flow learns of it like of any other.
pub(crate) fn webhook(domain: &Origin, entry: &Noted, webhook: &Webhook) -> NewDelivery {
    let origin = Origin::of(&webhook.url).ok();
    let is_ours = domain.owns(&webhook.actor) && webhook.actor.len() <= MAX_ACTOR;
    let (actor, address, origin) = match origin.filter(|_| is_ours) {
        Some(origin) => (webhook.actor.clone(), webhook.url.clone(), origin),
        None => (domain.base(), domain.base(), domain.clone()),
    };
    NewDelivery {
        actor,
        kind: AddressKind::Inbox,
        address,
        origin,
        position: entry.position,
        cid: entry.cid.clone(),
        trace: trace(entry, 1),
        awaited: true,
    }
}

/// The fan-out's own place in the entry's trace, as a `traceparent`.
fn trace(entry: &Noted, lanes: usize) -> String {
    let span = tracing::info_span!(
        "activitypub.fanout",
        "otel.kind" = "producer",
        "messaging.operation.type" = "send",
        "messaging.destination.name" = "deliver",
        "messaging.batch.message_count" = lanes,
        "activitypub.activity.id" = entry.activity.id(),
        "activitypub.activity.type" = entry.activity.verb(),
    );
    telemetry::continue_trace(&span, &entry.traceparent);
    telemetry::traceparent(&span).unwrap_or_else(|| entry.traceparent.clone())
}

fn member(member: &Audience) -> Member<'_> {
    Member {
        follower: &member.follower,
        address: fan_out::address(&member.follower, member.inbox.as_deref()),
        origin: &member.origin,
    }
}

/// Whether an origin is blocked at a position.
pub(crate) fn is_blocked(
    blocks: &BTreeMap<Origin, Vec<(u64, Option<u64>)>>,
    origin: &Origin,
    position: u64,
) -> bool {
    blocks
        .get(origin)
        .is_some_and(|blocks| blocks.iter().any(|(from, to)| holds(*from, *to, position)))
}
