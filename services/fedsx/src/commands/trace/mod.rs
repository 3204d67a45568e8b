//! `fedsx trace`: where the trace of an activity is looked at, and what it looks like.

mod jaeger;
mod span;
#[cfg(test)]
mod tests;
mod tree;
mod whole;

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use fedsx_proto::v1::{Entry, GetRequest, get_request::By};
use fedsx_runtime::{code::Refusal, telemetry};
use serde::Serialize;
use tokio::time::Instant;

pub(crate) use jaeger::{Jaeger, JaegerAt};
use span::Span;

use super::connect::{Running, Target};
use crate::asked;

/// How often Jaeger is asked.
const EVERY: Duration = Duration::from_millis(500);
/// A trace to which nothing has come for so long is whole: processes export what has ended within
/// [a second](telemetry::EXPORT_DELAY).
const QUIET: Duration = Duration::from_secs(3);

/// Prints the link to an activity's trace in Jaeger, and with --wait the tree of its spans: when each began after the first,
/// how long it took, whose it is, and what failed.
///
/// It waits until the trace is whole as far as can be told: every span's parent is there, no delivery of the activity is
/// pending, each attempt at one has its span, and nothing new has come for 3 seconds. What a peer does is in the trace where
/// it exports to the same Jaeger and trusts this domain (`trusted_origins`); else it is linked. When the time is over, it
/// prints what there is, and says on standard error what is lacking. Exits with 1 where nothing is there
#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// The activity: its id, its CID, its position in the log; or a trace id, 32 hexadecimal digits
    activity: String,
    /// Wait until its trace is whole, at most this many seconds [30], and print the tree of its spans
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30",
        value_parser = clap::value_parser!(u64).range(..=3600)
    )]
    wait: Option<u64>,
    #[command(flatten)]
    jaeger: JaegerAt,
    #[command(flatten)]
    target: Target,
}

/// What is known of a trace before Jaeger is asked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    trace_id: String,
    /// In Jaeger; null where that is not named.
    url: Option<String>,
}

/// A trace, as far as it has come.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    trace_id: String,
    url: String,
    /// Null: it is whole.
    lacking: Option<String>,
    spans: Vec<Span>,
}

/// An activity whose trace it is, in its domain.
struct Subject {
    domain: Running,
    entry: Entry,
}

pub(crate) async fn run(trace: Trace) -> anyhow::Result<()> {
    let (jaeger, output) = (trace.jaeger.of(&trace.target)?, trace.target.output());
    let (trace_id, subject) = trace.find().await?;
    let Some(seconds) = trace.wait else {
        let url = jaeger.map(|jaeger| jaeger.link(&trace_id));
        let hint = "Where Jaeger answers, --jaeger or FEDSX_JAEGER says: http://jaeger:16686";
        let text = url.clone().unwrap_or_else(|| format!("{trace_id}\n{hint}"));
        return output.one(&Found { trace_id, url }, || text);
    };
    let jaeger =
        jaeger.context("--wait asks Jaeger, which --jaeger or FEDSX_JAEGER names: http://jaeger:16686")?;
    let waiting = Waiting {
        jaeger: &jaeger,
        trace_id: &trace_id,
        subject,
    };
    let told = waiting.wait(Duration::from_secs(seconds)).await?;
    output.one(&told, || format!("{}\n{}", told.url, tree::tree(&told.spans)))?;
    if let Some(lacking) = &told.lacking {
        eprintln!("fedsx: after {seconds} s, this may not be all of it: {lacking}");
    }
    Ok(())
}

impl Trace {
    /// The trace that is meant, and whose it is; none where it was named itself, for which no domain is asked.
    async fn find(&self) -> anyhow::Result<(String, Option<Subject>)> {
        let by = match named(&self.activity) {
            Named::Trace(trace_id) => return Ok((trace_id, None)),
            Named::Entry(by) => by,
        };
        let mut domain = self.target.open().await?;
        let answer = domain.clients.log.get(GetRequest { by: Some(by) }).await;
        let entry = answer.map_err(Refusal::from)?.into_inner();
        let trace_id = trace_of(&entry);
        anyhow::ensure!(
            !trace_id.is_empty(),
            "the entry at {} has no trace",
            entry.position
        );
        Ok((trace_id, Some(Subject { domain, entry })))
    }
}

/// The trace of the call that appended an entry; empty where it was in none.
pub(crate) fn trace_of(entry: &Entry) -> String {
    let traceparent = entry.meta.as_ref().map_or("", |meta| meta.traceparent.as_str());
    telemetry::trace_id(traceparent)
}

/// What a text names.
#[derive(Debug, PartialEq)]
enum Named {
    Trace(String),
    Entry(By),
}

fn named(text: &str) -> Named {
    if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Named::Trace(text.to_ascii_lowercase());
    }
    Named::Entry(match text.parse() {
        Ok(position) => By::Position(position),
        Err(_) if text.contains("://") => By::ActivityId(text.to_owned()),
        Err(_) => By::Cid(text.to_owned()),
    })
}

/// Somebody waits for a trace.
struct Waiting<'a> {
    jaeger: &'a Jaeger,
    trace_id: &'a str,
    subject: Option<Subject>,
}

impl Waiting<'_> {
    /// The trace once it is whole, or what there is of it after so long.
    async fn wait(mut self, patience: Duration) -> anyhow::Result<Told> {
        let until = Instant::now() + patience;
        let (mut spans, mut since) = (Vec::new(), Instant::now());
        loop {
            let asked = self.jaeger.spans(self.trace_id).await;
            let (now, problem) = match asked {
                Ok(now) => (now, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            let has_grown = now.len() > spans.len();
            if has_grown {
                spans = now;
            }
            let lacking = match &problem {
                Some(problem) => Some(format!("{problem:#}")),
                None => self.lacking(&spans).await?,
            };
            if has_grown || lacking.is_some() {
                since = Instant::now();
            }
            let is_whole = since.elapsed() >= QUIET;
            if Instant::now() >= until || is_whole {
                let still_moving = || (!is_whole).then(|| "spans were still coming".to_owned());
                return self.told(spans, lacking.or_else(still_moving), patience);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn lacking(&mut self, spans: &[Span]) -> anyhow::Result<Option<String>> {
        let Some(Subject { domain, entry }) = &mut self.subject else {
            return Ok(whole::lacking(spans, "", &[]));
        };
        // Of more than these, none is looked after one by one.
        let deliveries = asked::deliveries(&domain.clients, &entry.cid).await?;
        Ok(whole::lacking(spans, &entry.activity_id, &deliveries))
    }

    fn told(&self, spans: Vec<Span>, lacking: Option<String>, patience: Duration) -> anyhow::Result<Told> {
        let url = self.jaeger.link(self.trace_id);
        if spans.is_empty() {
            let why = lacking.unwrap_or_default();
            anyhow::bail!(
                "after {} s, {url} shows nothing: {why}. The domain's roles export what they do where `otlp` names a collector",
                patience.as_secs()
            );
        }
        Ok(Told {
            trace_id: self.trace_id.to_owned(),
            url,
            lacking,
            spans,
        })
    }
}
