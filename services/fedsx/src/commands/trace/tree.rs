//! A trace as text: one line a span, below the one that it came from.

use std::collections::{BTreeMap, HashSet};

use super::span::Span;

/// Deeper than this, spans are indented no further.
const MAX_INDENT: usize = 32;

/// The longest value of an attribute, or cause, that is shown whole. Characters.
const MAX_VALUE: usize = 200;

/// The attributes that tell something to who reads the tree, and what they are called there.
const SHOWN: [(&str, &str); 10] = [
    ("activitypub.activity.type", "type"),
    ("fedsx.stream", "stream"),
    ("fedsx.position", "position"),
    ("fedsx.views", "views"),
    ("messaging.batch.message_count", "deliveries"),
    ("fedsx.behaviour", "behaviour"),
    ("fedsx.flow.step", "step"),
    ("fedsx.flow.item", "item"),
    ("server.address", "host"),
    ("http.response.status_code", "status"),
];

/// The tree of these spans, which are sorted by their start.
pub(super) fn tree(spans: &[Span]) -> String {
    let began = spans.first().map_or(0, |span| span.start);
    let service = |span: &Span| shorten(&span.service);
    let widths = spans.iter().map(|span| service(span).chars().count());
    let width = widths.max().unwrap_or(0).max("SERVICE".len());
    let mut lines = vec![format!(
        "{:>10} {:>10}  {:width$}  SPAN",
        "START", "TOOK", "SERVICE"
    )];
    for (depth, span) in in_order(spans) {
        let indent = "  ".repeat(depth.min(MAX_INDENT));
        let (start, took) = (time(span.start.saturating_sub(began)), time(span.duration));
        let (service, what) = (service(span), what(span));
        lines.push(format!(
            "{start:>10} {took:>10}  {service:width$}  {indent}{what}"
        ));
    }
    lines.join("\n")
}

/// Each span once, parents before their children, with its depth. Those whose parent is not there, or that are each other's,
/// stand at the beginning of a line.
fn in_order(spans: &[Span]) -> Vec<(usize, &Span)> {
    let known: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let mut children: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    let mut waiting: Vec<(usize, &Span)> = Vec::new();
    for span in spans.iter().rev() {
        match span.parent.as_deref().filter(|parent| known.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(span),
            None => waiting.push((0, span)),
        }
    }
    let mut ordered = Vec::with_capacity(spans.len());
    while let Some((depth, span)) = waiting.pop() {
        ordered.push((depth, span));
        let below = children.remove(span.id.as_str()).unwrap_or_default();
        waiting.extend(below.into_iter().map(|child| (depth + 1, child)));
    }
    // Nobody's descendants: a circle, which no domain exports.
    ordered.extend(children.into_values().flatten().map(|span| (0, span)));
    ordered
}

fn what(span: &Span) -> String {
    let mut words = vec![shorten(&span.name)];
    // Zero where it is the first.
    if let Ok(sent_before) = span.attribute("http.request.resend_count").parse::<u64>() {
        words.push(format!("attempt={}", sent_before.saturating_add(1)));
    }
    for (key, label) in SHOWN {
        match span.attribute(key) {
            "" => {}
            value => words.push(format!("{label}={}", shorten(value))),
        }
    }
    let kind = span.attribute("error.type");
    let message = span.attribute("error.message");
    let cause = span.attribute("otel.status_description");
    match (span.has_failed(), kind) {
        (true, _) => words.push(format!("FAILED {}", because(kind, cause))),
        (false, "") => {}
        (false, kind) => words.push(format!("REFUSED {}", because(kind, message))),
    }
    for link in &span.links {
        words.push(format!("linked to trace {}", shorten(&link.trace_id)));
    }
    words.join(" ")
}

fn because(kind: &str, cause: &str) -> String {
    let said = [kind, cause].into_iter().filter(|text| !text.is_empty());
    said.map(shorten).collect::<Vec<_>>().join(": ")
}

/// Of what is longer the beginning, on one line.
fn shorten(value: &str) -> String {
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Microseconds as milliseconds, or seconds where there are many.
fn time(micros: u64) -> String {
    match micros {
        0..10_000_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}
