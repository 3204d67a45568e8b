//! A span, as it is printed.

use std::collections::BTreeMap;

use serde::Serialize;

/// A span of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    /// 16 hexadecimal digits.
    pub(super) id: String,
    /// None: it is the first of its trace.
    pub(super) parent: Option<String>,
    /// The role and its domain, `log@blog.example`.
    pub(super) service: String,
    pub(super) domain: String,
    /// The process among its role's replicas.
    pub(super) instance: String,
    pub(super) name: String,
    /// Microseconds since the Unix epoch.
    #[serde(rename = "startMicros")]
    pub(super) start: u64,
    /// Microseconds.
    #[serde(rename = "durationMicros")]
    pub(super) duration: u64,
    pub(super) attributes: BTreeMap<String, String>,
    /// Other traces that it belongs with: of peers who are not trusted to have it in theirs.
    pub(super) links: Vec<Link>,
}

/// A span of another trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    pub(super) trace_id: String,
    pub(super) span_id: String,
}

impl Span {
    /// An attribute; empty where there is none.
    pub(super) fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.attribute("otel.status_code") == "ERROR"
    }
}
