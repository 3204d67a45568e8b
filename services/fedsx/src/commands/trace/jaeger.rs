//! Jaeger's query service: where a trace is looked at, and its spans as the JSON that Jaeger's own pages are made of.

use std::collections::BTreeMap;

use super::span::{Link, Span};
use crate::{commands::connect::Target, domain::jaeger_url};
use anyhow::Context as _;
use clap::Args;
use fedsx_runtime::fetch::{FetchError, Fetcher, Policy};
use serde::Deserialize;

/// The largest trace that is read. Bytes of JSON: a delivery takes about eight KiB.
const MAX_TRACE: usize = 64 << 20;

/// Where Jaeger is, as a command is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct JaegerAt {
    /// Where Jaeger's query service answers: http://jaeger:16686 [default: what the domain was started with]
    #[arg(long, env = "FEDSX_JAEGER", value_name = "URL", global = true)]
    jaeger: Option<String>,
}

impl JaegerAt {
    /// The one that is named, or else the domain's own, if there is any.
    pub(crate) fn of(&self, target: &Target) -> anyhow::Result<Option<Jaeger>> {
        let named = self.jaeger.clone().filter(|url| !url.is_empty());
        let url = match named {
            Some(url) => Some(url),
            None => target.jaeger()?,
        };
        url.map(|url| Jaeger::at(&url)).transpose()
    }
}

/// Jaeger's query service.
#[derive(Debug)]
pub(crate) struct Jaeger {
    /// Without a slash at its end.
    url: String,
    fetcher: Fetcher,
}

impl Jaeger {
    fn at(text: &str) -> anyhow::Result<Self> {
        let url = jaeger_url(text).context("--jaeger")?;
        // An operator has named it: it may be anywhere, and in the clear.
        let policy = Policy::new([url.origin().ascii_serialization()])?;
        Ok(Self {
            url: url.as_str().trim_end_matches('/').to_owned(),
            fetcher: Fetcher::new(policy)?,
        })
    }

    /// The page that shows a trace.
    pub(crate) fn link(&self, trace_id: &str) -> String {
        format!("{}/trace/{trace_id}", self.url)
    }

    /// The spans of a trace that have arrived, the first that began first.
    pub(super) async fn spans(&self, trace_id: &str) -> anyhow::Result<Vec<Span>> {
        let url = format!("{}/api/traces/{trace_id}", self.url);
        match self.fetcher.get_within(&url, "application/json", MAX_TRACE).await {
            Ok(document) => read(&document.body, trace_id),
            // Nothing of it has arrived.
            Err(FetchError::Status(404)) => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| format!("Jaeger at {}", self.url)),
        }
    }
}

/// Reads the answer of `GET /api/traces/<id>`.
pub(super) fn read(body: &[u8], trace_id: &str) -> anyhow::Result<Vec<Span>> {
    let answer: Answer = serde_json::from_slice(body).context("what Jaeger answered")?;
    let mut spans = Vec::new();
    for mut trace in answer.data.unwrap_or_default() {
        for span in std::mem::take(&mut trace.spans) {
            spans.push(span.with(&trace.processes, trace_id));
        }
    }
    spans.sort_by(|one: &Span, other| (one.start, &one.id).cmp(&(other.start, &other.id)));
    // Jaeger shows what was exported twice as two spans.
    spans.dedup_by(|one, other| one.id == other.id);
    Ok(spans)
}

#[derive(Deserialize)]
struct Answer {
    /// Null: there is nothing.
    data: Option<Vec<Trace>>,
}

#[derive(Deserialize)]
struct Trace {
    #[serde(default)]
    spans: Vec<JaegerSpan>,
    #[serde(default)]
    processes: BTreeMap<String, Process>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerSpan {
    #[serde(rename = "spanID")]
    span_id: String,
    #[serde(default)]
    operation_name: String,
    #[serde(default)]
    references: Vec<Reference>,
    /// Microseconds since the Unix epoch.
    #[serde(default)]
    start_time: u64,
    /// Microseconds.
    #[serde(default)]
    duration: u64,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default, rename = "processID")]
    process_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    ref_type: String,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: serde_json::Value,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    #[serde(default)]
    service_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

impl JaegerSpan {
    fn with(self, processes: &BTreeMap<String, Process>, trace_id: &str) -> Span {
        let process = processes.get(&self.process_id);
        let of_process = |key: &str| {
            let tags = process.map_or(&[][..], |process| &process.tags);
            let tag = tags.iter().find(|tag| tag.key == key);
            tag.map(|tag| text(&tag.value)).unwrap_or_default()
        };
        let is_here = |reference: &&Reference| same(&reference.trace_id, trace_id);
        let parent = self
            .references
            .iter()
            .filter(is_here)
            .find(|reference| reference.ref_type == "CHILD_OF")
            .map(|reference| reference.span_id.clone());
        let links = self.references.iter().filter(|reference| !is_here(reference));
        Span {
            parent,
            links: links
                .map(|link| Link {
                    trace_id: link.trace_id.clone(),
                    span_id: link.span_id.clone(),
                })
                .collect(),
            service: process
                .map(|process| process.service_name.clone())
                .unwrap_or_default(),
            domain: of_process("service.namespace"),
            instance: of_process("service.instance.id"),
            id: self.span_id,
            name: self.operation_name,
            start: self.start_time,
            duration: self.duration,
            attributes: self
                .tags
                .into_iter()
                .filter(|tag| !is_of_the_program(&tag.key))
                .map(|tag| (tag.key, text(&tag.value)))
                .collect(),
        }
    }
}

/// Whether an attribute tells where in the program, or on which of its threads, a span was made.
fn is_of_the_program(key: &str) -> bool {
    let prefixes = ["code.", "thread.", "otel.scope.", "internal."];
    matches!(key, "busy_ns" | "idle_ns") || prefixes.iter().any(|prefix| key.starts_with(prefix))
}

/// Jaeger leaves out zeros at the beginning of an id.
fn same(one: &str, other: &str) -> bool {
    one.trim_start_matches('0') == other.trim_start_matches('0')
}

fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
