//! Whether a trace is whole, as far as can be told.

use std::collections::{BTreeMap, HashSet};

use fedsx_kernel::origin::Origin;
use fedsx_proto::v1::DeliveryRow;

use super::span::Span;

/// The span of an attempt at a delivery.
const ATTEMPT: &str = "activitypub.send_activity";

/// What is still to come of a trace, of what is known; none: nothing. `deliveries`: of the activity `id`, as the ledger has them.
pub(super) fn lacking(spans: &[Span], id: &str, deliveries: &[DeliveryRow]) -> Option<String> {
    if spans.is_empty() {
        return Some("nothing of it has arrived".to_owned());
    }
    let known: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let orphans = spans.iter().filter(|span| {
        span.parent
            .as_deref()
            .is_some_and(|parent| !known.contains(parent))
    });
    match orphans.count() {
        0 => {}
        orphans => return Some(format!("the parents of {orphans} spans are not there")),
    }
    let pending = deliveries.iter().filter(|row| row.state == "pending");
    if let Some(row) = pending.clone().next() {
        let count = pending.count();
        return Some(format!(
            "{count} deliveries are pending, such as to {}",
            row.inbox
        ));
    }
    let mut expected: BTreeMap<&str, u32> = BTreeMap::new();
    for row in deliveries {
        *expected.entry(&row.origin).or_default() += row.attempts;
    }
    let untold = expected
        .into_iter()
        .map(|(origin, attempts)| (origin, attempts, attempted(spans, id, origin)))
        .find(|(_, attempts, told)| told < attempts)?;
    let (origin, attempts, told) = untold;
    Some(format!("of {attempts} attempts at {origin}, {told} have a span"))
}

/// The attempts at delivering the activity to an origin that there are spans of.
fn attempted(spans: &[Span], id: &str, origin: &str) -> u32 {
    let origin: Result<Origin, _> = origin.parse();
    let host = origin.as_ref().map_or("", Origin::authority);
    let attempts = spans.iter().filter(|span| {
        span.name == ATTEMPT
            && span.attribute("activitypub.activity.id") == id
            && span.attribute("server.address") == host
    });
    u32::try_from(attempts.count()).unwrap_or(u32::MAX)
}
