//! A transition as an entry of `flow/<id>`: an activity of the domain's base, unsigned, for it never leaves the domain.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{event::Event, status::Status};
use crate::{
    activity::{Activity, ActivityError},
    cid::Cid,
    follow::decision::sealed,
    origin::Origin,
};

/// The verb of transitions.
pub const VERB: &str = "Transition";

/// What happened together in a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    pub flow: String,
    /// The behaviour's name and its record.
    pub name: String,
    pub behaviour: Cid,
    /// The activity that started the flow.
    pub activity: Cid,
    /// Its place in the log.
    pub position: u64,
    /// The version of the flow that it was decided at: 0, it starts the flow.
    pub from: u64,
    pub at: Timestamp,
    /// How the flow stands after it, for readers; what counts is what happened.
    pub status: Status,
    pub events: Vec<Event>,
}

/// Why an entry is no transition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{member}` of the transition cannot be read")]
pub struct TransitionError {
    member: &'static str,
}

impl Transition {
    /// The activity that says so.
    ///
    /// # Errors
    /// [`ActivityError`]: it has become too large.
    pub fn activity(&self, domain: &Origin) -> Result<Activity, ActivityError> {
        let said = json!({
            "type": VERB,
            "flow": self.flow,
            "name": self.name,
            "behaviour": self.behaviour,
            "activity": self.activity,
            "position": self.position,
            "from": self.from,
            "published": self.at.to_string(),
            "status": self.status,
            "events": self.events,
        });
        sealed(domain, said)
    }

    /// Reads an entry of a flow's stream.
    ///
    /// # Errors
    /// [`TransitionError`]
    pub fn of(activity: &Activity) -> Result<Self, TransitionError> {
        let document = activity.document();
        let text = |member: &'static str| {
            let text = document.get(member).and_then(Value::as_str);
            text.ok_or(TransitionError { member })
        };
        let cid = |member: &'static str| text(member)?.parse().map_err(|_| TransitionError { member });
        let number = |member: &'static str| {
            let number = document.get(member).and_then(Value::as_u64);
            number.ok_or(TransitionError { member })
        };
        if activity.verb() != VERB {
            return Err(TransitionError { member: "type" });
        }
        let events = document.get("events").cloned().unwrap_or_default();
        Ok(Self {
            flow: text("flow")?.to_owned(),
            name: text("name")?.to_owned(),
            behaviour: cid("behaviour")?,
            activity: cid("activity")?,
            position: number("position")?,
            from: number("from")?,
            at: activity
                .published()
                .ok_or(TransitionError { member: "published" })?,
            status: Status::parse(text("status")?).ok_or(TransitionError { member: "status" })?,
            events: serde_json::from_value(events).map_err(|_| TransitionError { member: "events" })?,
        })
    }
}
