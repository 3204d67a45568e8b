//! Webhooks of flows: what a transition has to be posted, by whom and where to, and what came of it as the flow's next
//! entry.
//!
//! A webhook is owed as soon as it is [sent](Event::Sent), whoever follows whom and however its addressee stands: its flow
//! waits for it. So its row is written where others are left to catch-up, whatever ends the row ends the wait, and catch-up
//! passes webhooks by.

use bytes::Bytes;
use fedsx_kernel::{
    activity::Activity,
    canonical,
    delivery::row::DeliveryState,
    flow::{Event, Transition, Webhook, idempotency_key},
};

use crate::ledger::Ended;

/// Whether an entry of a flow may have something to be posted. Most have not, and need not be parsed.
pub(crate) fn may_be_sent(body: &[u8]) -> bool {
    body.windows(SENT.len()).any(|window| window == SENT)
}
const SENT: &[u8] = b"\"sent\"";

/// What a transition has to be posted; none: nothing.
pub(crate) fn sent(transition: &Transition) -> Option<&Webhook> {
    transition.events.iter().find_map(|event| match event {
        Event::Sent { webhook, .. } => Some(webhook),
        _ => None,
    })
}

/// What sets the POST of a webhook apart from that of an activity.
#[derive(Debug)]
pub(crate) struct Posting {
    url: String,
    actor: String,
    /// `Idempotency-Key`: a string of RFC 8941 (draft-ietf-httpapi-idempotency-key-header, section 2.1).
    pub(crate) key: String,
}

impl Posting {
    /// The webhook of a flow's entry, and its body.
    ///
    /// # Errors
    /// One line: the entry has none.
    pub(crate) fn of(entry: &[u8]) -> Result<(Self, Bytes), String> {
        let transition = transition(entry)?;
        let sent = transition.events.iter().find_map(|event| match event {
            Event::Sent {
                step, item, webhook, ..
            } => Some((idempotency_key(&transition.flow, step, *item), webhook)),
            _ => None,
        });
        let (key, webhook) = sent.ok_or("nothing was sent by it")?;
        let body = canonical::to_vec(&webhook.body).map_err(|error| error.to_string())?;
        let posting = Self {
            url: webhook.url.clone(),
            actor: webhook.actor.clone(),
            // Of flows, steps and items: letters, digits, `-`, `_` and `/`, which need no escape.
            key: format!("\"{key}\""),
        };
        Ok((posting, body.into()))
    }

    /// Whether this is the lane that it was meant for.
    pub(crate) fn is_for(&self, actor: &str, address: &str) -> bool {
        self.actor == actor && self.url == address
    }

    /// Why it is for no lane.
    pub(crate) fn unfit(&self) -> String {
        format!("{} cannot post to {:?}", self.actor, self.url)
    }
}

fn transition(entry: &[u8]) -> Result<Transition, String> {
    let activity = Activity::parse(entry).map_err(|error| error.to_string())?;
    Transition::of(&activity).map_err(|error| error.to_string())
}

/// What came of a webhook, as the flow's next entry: the same each time it is asked for. `version`: of the entry that sent
/// it.
///
/// # Errors
/// One line: the entry has sent none.
pub(crate) fn answered(entry: &[u8], version: u64, ended: &Ended) -> Result<Transition, String> {
    let transition = transition(entry)?;
    let answered = transition.events.iter().find_map(|event| match event {
        Event::Sent {
            step, item, attempt, ..
        } => Some(Event::Answered {
            step: step.clone(),
            item: *item,
            attempt: *attempt,
            delivered: ended.state == DeliveryState::Delivered,
            status: ended.status,
            cause: ended.cause.clone(),
        }),
        _ => None,
    });
    Ok(Transition {
        events: vec![answered.ok_or("nothing was sent by it")?],
        from: version,
        at: ended.at,
        ..transition
    })
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::{cid::Cid, flow::Status};
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{lane::LaneId, ledger::DeliveryKey};

    fn sent_by(item: Option<u32>) -> (Transition, Vec<u8>) {
        let sent = Event::Sent {
            step: "call".to_owned(),
            item,
            attempt: 2,
            webhook: Webhook {
                url: "https://hooks.example/in".to_owned(),
                actor: "https://blog.example/actors/alice".to_owned(),
                body: json!({"b": 1, "a": [true]}),
            },
        };
        let transition = Transition {
            flow: "abc".to_owned(),
            name: "tell".to_owned(),
            behaviour: Cid::of_canonical(b"behaviour"),
            activity: Cid::of_canonical(b"activity"),
            position: 7,
            from: 3,
            at: Timestamp::UNIX_EPOCH,
            status: Status::Waiting,
            events: vec![sent],
        };
        let domain = "https://blog.example".parse().unwrap();
        let activity = transition.activity(&domain).unwrap();
        (transition, serde_json::to_vec(activity.document()).unwrap())
    }

    #[test]
    fn what_is_posted_is_canonical_and_known_by_flow_step_and_item() {
        for (item, key) in [(None, r#""abc/call""#), (Some(4), r#""abc/call/4""#)] {
            let entry = sent_by(item).1;
            assert!(may_be_sent(&entry));
            let (posting, body) = Posting::of(&entry).unwrap();
            assert_eq!(
                (posting.key.as_str(), &body[..]),
                (key, &br#"{"a":[true],"b":1}"#[..])
            );
        }
        assert!(!may_be_sent(br#"{"event":"done"}"#));
        assert!(Posting::of(br#"{"type":"Note"}"#).is_err());
    }

    #[test]
    fn what_came_of_it_is_told_the_same_each_time() {
        let (sent, entry) = sent_by(Some(4));
        let ended = Ended {
            key: DeliveryKey {
                lane: LaneId(1),
                position: 9,
            },
            state: DeliveryState::Refused,
            status: 422,
            cause: "422 no".to_owned(),
            at: Timestamp::constant(1_800_000_000, 0),
            trace: String::new(),
        };
        let answered = super::answered(&entry, 5, &ended).unwrap();
        let expected = Event::Answered {
            step: "call".to_owned(),
            item: Some(4),
            attempt: 2,
            delivered: false,
            status: 422,
            cause: "422 no".to_owned(),
        };
        assert_eq!(
            answered,
            Transition {
                from: 5,
                at: ended.at,
                events: vec![expected],
                ..sent
            }
        );
    }
}
