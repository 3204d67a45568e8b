//! What the plan of a batch will ask for.

use fedsx_proto::v1::KvChange;

use super::{Request, append, publish};
use crate::store::Need;

/// The facts that [`plan`](super::plan) needs for these requests.
#[must_use]
pub fn need(requests: &[Request]) -> Need {
    let mut need = Need::default();
    for request in requests {
        match request {
            Request::Append(append) => {
                stream(&mut need, &append.stream);
                for entry in &append.entries {
                    let names = append::names(&append.stream, &entry.activity);
                    need.names.extend(names.into_iter().flatten());
                }
                kv(&mut need, &append.kv);
            }
            Request::Publish(publish) => {
                stream(&mut need, &publish.stream);
                need.names.extend(publish::draft_key(publish));
                if !need.signing_keys.contains(&publish.actor) {
                    need.signing_keys.insert(publish.actor.clone());
                }
                need.signing_keys
                    .extend(publish.creates.iter().map(|new| new.actor.clone()));
                kv(&mut need, &publish.kv);
            }
            Request::Change(changes) => kv(&mut need, changes),
        }
    }
    need
}

/// Many requests of a batch are for few streams.
fn stream(need: &mut Need, stream: &str) {
    if !need.streams.contains(stream) {
        need.streams.insert(stream.to_owned());
    }
}

/// Only a compare-and-set asks what is stored.
fn kv(need: &mut Need, changes: &[KvChange]) {
    let compared = changes.iter().filter(|change| change.expected_version.is_some());
    need.kv
        .extend(compared.map(|change| (change.space.clone(), change.key.clone())));
}
