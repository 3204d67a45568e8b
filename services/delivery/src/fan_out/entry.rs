//! An entry of the log as delivery reads it.

use fedsx_kernel::{
    activity::{Activity, ActivityError},
    audience::{Recipients, recipients},
    flow::{Transition, Webhook},
    follow::{Event, Inboxes, event, reference},
    origin::Origin,
    stream::Stream,
};
use fedsx_proto::v1::Entry;
use fedsx_runtime::code::Refusal;

use crate::{log::Log, webhook};

/// Verbs by which a peer changes who follows whom.
const FOLLOW_VERBS: [&[u8]; 4] = [b"Follow", b"Accept", b"Reject", b"Undo"];

/// An entry that concerns delivery.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) position: u64,
    pub(crate) cid: String,
    pub(crate) activity: Activity,
    /// Whom it is sent to; none: nobody. Only what local actors publish is ever sent.
    pub(crate) recipients: Option<Recipients>,
    pub(crate) event: Option<Event>,
    /// What it has to be posted.
    pub(crate) webhook: Option<Webhook>,
    /// `traceparent` of its append; empty: none.
    pub(crate) traceparent: String,
}

/// An entry cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoteError {
    #[error(transparent)]
    Log(#[from] Refusal),
    #[error("the entry at position {position} is no activity: {source}")]
    Corrupt { position: u64, source: ActivityError },
}

impl Noted {
    /// Whether it is sent to all followers of its actor, who may be many.
    pub(crate) fn is_wide(&self) -> bool {
        self.recipients
            .as_ref()
            .is_some_and(|recipients| recipients.followers)
    }
}

/// Reads entries of the domain's log, looking up in the log what they refer to. Entries that cannot concern delivery are left out.
pub(crate) async fn note(log: &Log, domain: &Origin, entries: &[Entry]) -> Result<Vec<Noted>, NoteError> {
    let mut noted = Vec::new();
    for entry in entries {
        let Some(stream) = Stream::parse(&entry.stream).filter(|stream| concerns(stream, &entry.body)) else {
            continue;
        };
        let activity = parse(entry)?;
        let webhook = match &stream {
            // Whatever else a flow's entry may be, it has nothing to be posted.
            Stream::Flow(_) => {
                let transition = Transition::of(&activity).ok();
                transition.and_then(|transition| webhook::sent(&transition).cloned())
            }
            _ => None,
        };
        if webhook.is_none() && matches!(stream, Stream::Flow(_)) {
            continue;
        }
        let referred = match reference(&activity) {
            Some(id) => referred(log, id, entry.position).await?,
            None => None,
        };
        let meta = entry.meta.clone().unwrap_or_default();
        let inboxes = Inboxes::new(&meta.inbox, &meta.shared_inbox);
        let is_ours = matches!(stream, Stream::Outbox(_));
        noted.push(Noted {
            position: entry.position,
            cid: entry.cid.clone(),
            recipients: is_ours.then(|| recipients(&activity, domain)),
            event: event(&activity, &stream, inboxes, referred.as_ref()),
            webhook,
            activity,
            traceparent: meta.traceparent,
        });
    }
    Ok(noted)
}

/// Whether an entry may be sent, or may change who is sent to. Most of what peers send does neither, and need not be parsed.
fn concerns(stream: &Stream, body: &[u8]) -> bool {
    match stream {
        Stream::Outbox(_) | Stream::Domain => true,
        Stream::Flow(_) => webhook::may_be_sent(body),
        // A letter of JSON may be written `\u0046`.
        Stream::Inbox(_) => contains(body, b"\\u") || FOLLOW_VERBS.iter().any(|verb| contains(body, verb)),
    }
}

fn contains(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len()).any(|window| window == word)
}

/// The activity that another refers to. Only what the log had before counts, so that a rebuild folds what was folded live.
async fn referred(log: &Log, id: &str, position: u64) -> Result<Option<Activity>, NoteError> {
    let entry = log.activity(id).await?;
    let earlier = entry.filter(|entry| entry.position < position);
    earlier.map(|entry| parse(&entry)).transpose()
}

fn parse(entry: &Entry) -> Result<Activity, NoteError> {
    Activity::parse(&entry.body).map_err(|source| NoteError::Corrupt {
        position: entry.position,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_peers_send_only_follows_and_answers_are_read() {
        let inbox = Stream::Inbox("https://peer.example/actors/bob".to_owned());
        assert!(!concerns(&inbox, br#"{"type":"Create"}"#));
        assert!(concerns(&inbox, br#"{"type":"Undo"}"#));
        assert!(concerns(&inbox, br#"{"type":"\u0055ndo"}"#));
        assert!(concerns(&Stream::Domain, b"{}"));
        let flow = Stream::Flow("1".to_owned());
        assert!(!concerns(&flow, br#"{"type":"Follow"}"#));
        assert!(concerns(
            &flow,
            br#"{"type":"Transition","events":[{"event":"sent"}]}"#
        ));
    }
}
