//! What happens in a flow.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::EffectKind;

/// Something that happened to a step. Written in the log for ever: members are added, never renamed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The step is done, or the next item of its `each` is.
    Done {
        step: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// What was done; none: the step is a branch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effect: Option<EffectKind>,
        value: Value,
    },
    /// What an `each` goes over.
    Items { step: String, items: Vec<Value> },
    /// The step waits.
    Suspended {
        step: String,
        /// What a person is asked to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<String>,
        /// The key of the activity that it waits for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Where it waits for an activity: only those count that the log has after this position.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<u64>,
    },
    /// It waits no longer.
    Resumed { step: String, by: By, value: Value },
    /// A webhook is to be posted; it waits for what comes of it.
    Sent {
        step: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        attempt: u32,
        webhook: Webhook,
    },
    /// What came of a webhook.
    Answered {
        step: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        attempt: u32,
        /// Whether the addressee has taken it.
        delivered: bool,
        /// 0: there was no answer.
        status: u16,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        cause: String,
    },
    /// An effect failed.
    Failed {
        step: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// From 1.
        attempt: u32,
        cause: String,
        /// When it is tried again; none: when somebody says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// An operator has what failed tried again.
    Retried { step: String },
    /// An operator has ended the flow.
    Cancelled {
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
}

/// What resumed a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    Person,
    Activity,
    Timer,
}

/// A document to be posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    pub url: String,
    /// The local actor that signs; its id.
    pub actor: String,
    pub body: Value,
}
