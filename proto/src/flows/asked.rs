//! What is asked of flows. A member that is not known is refused, so that nobody wonders why it does nothing.

use serde::{
    Deserialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Error, Map, Value};

use crate::v1::{CancelFlowRequest, ListFlowsRequest, ResumeFlowRequest, RetryFlowRequest, StartFlowRequest};

/// Reads a body; none is an object without members.
///
/// # Errors
/// It is no object of such members.
pub fn read<T: DeserializeOwned>(body: Option<Value>) -> Result<T, Error> {
    let body = match body {
        None => Map::new(),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(Error::custom("the body is no object")),
    };
    serde_json::from_value(Value::Object(body))
}

/// The query of `GET /flows`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageAsked {
    /// One or several, with commas between.
    status: String,
    behaviour: String,
    activity: String,
    object: String,
    #[serde(deserialize_with = "counted")]
    limit: u32,
    page: String,
}

/// The query of `GET /behaviours` and `GET /flows/{id}`, which takes nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NothingAsked {}

/// A count that is said.
fn counted<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(D::Error::custom("`limit` is 0, and at least 1")),
        limit => Ok(limit),
    }
}

impl From<PageAsked> for ListFlowsRequest {
    fn from(asked: PageAsked) -> Self {
        let statuses = asked.status.split(',').filter(|status| !status.is_empty());
        Self {
            statuses: statuses.map(str::to_owned).collect(),
            behaviour: asked.behaviour,
            activity: asked.activity,
            object: asked.object,
            limit: asked.limit,
            page: asked.page,
            ..Self::default()
        }
    }
}

/// The body of `POST /flows`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    behaviour: String,
    activity: String,
}

impl From<Start> for StartFlowRequest {
    fn from(Start { behaviour, activity }: Start) -> Self {
        Self { behaviour, activity }
    }
}

/// The body of `POST /flows/{id}/resume`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resume {
    step: String,
    value: Value,
}

impl Resume {
    /// The call for a flow.
    #[must_use]
    pub fn of(self, id: String) -> ResumeFlowRequest {
        ResumeFlowRequest {
            id,
            step: self.step,
            value: self.value.to_string().into(),
        }
    }
}

/// The body of `POST /flows/{id}/retry`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    step: String,
}

impl Retry {
    /// The call for a flow.
    #[must_use]
    pub fn of(self, id: String) -> RetryFlowRequest {
        RetryFlowRequest { id, step: self.step }
    }
}

/// The body of `POST /flows/{id}/cancel`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cancel {
    reason: String,
}

impl Cancel {
    /// The call for a flow.
    #[must_use]
    pub fn of(self, id: String) -> CancelFlowRequest {
        CancelFlowRequest {
            id,
            reason: self.reason,
        }
    }
}
