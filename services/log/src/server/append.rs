//! Append: complete activities, received from a peer or decided here.

use std::collections::HashSet;

use bytes::Bytes;
use fedsx_kernel::{activity::Activity, origin::Origin, stream::Stream};
use fedsx_proto::v1::{
    self, AppendRequest, AppendResponse, Appended, Conflict, append_response::Outcome, expected::Kind,
};
use fedsx_runtime::{code::Refusal, token::Role};

use super::{LogService, kv, meta, unexpected};
use crate::{
    authority::{self, Action},
    limits::{self, MAX_ENTRIES, MAX_ID},
    plan::{Answer, Append, Complete, Expected, NewEntry, Request},
    refusal::{self, malformed},
    registry::{checked::Checked, stages::Speaker},
    store::Placed,
};

pub(super) async fn append(
    log: &LogService,
    role: Role,
    request: AppendRequest,
    traceparent: String,
) -> Result<AppendResponse, Refusal> {
    let parsed = parsed(log, role, request, traceparent).await;
    response(log.write("Append", parsed).await?)
}

/// Parses a request and runs the stages: for large ones on a thread that others do not wait for. Between the two, peers'
/// types are looked up.
pub(super) async fn parsed(
    log: &LogService,
    role: Role,
    request: AppendRequest,
    traceparent: String,
) -> Result<(Request, usize), Refusal> {
    let bytes = request.entries.iter().map(|entry| entry.body.len()).sum();
    let service = log.clone();
    let parse = move || parse(&service, role, request, &traceparent);
    let Parsed {
        stream,
        mut append,
        activities,
        bytes,
    } = super::parse(bytes, parse).await?;
    if matches!(stream, Stream::Inbox(_)) {
        for (entry, activity) in append.entries.iter_mut().zip(&activities) {
            entry.checked = log.unchecked(activity.document(), Speaker::Remote).await?;
        }
    }
    let service = log.clone();
    let check = move || {
        for (entry, activity) in append.entries.iter_mut().zip(&activities) {
            entry.checked = check(&service, &stream, activity, &entry.checked);
        }
        Ok((Request::Append(append), bytes))
    };
    super::parse(bytes, check).await
}

/// What the stages say of an activity for a stream.
fn check(log: &LogService, stream: &Stream, activity: &Activity, unchecked: &Checked) -> Checked {
    let document = activity.document();
    match stream {
        Stream::Inbox(_) => unchecked.again(&log.registry.get(), document, Speaker::Remote),
        Stream::Domain => Checked::decided(&log.origin, document),
        Stream::Flow(_) | Stream::Outbox(_) => Checked::default(),
    }
}

pub(super) fn response(answer: Answer) -> Result<AppendResponse, Refusal> {
    let outcome = match answer {
        Answer::Appended(placed) => Outcome::Appended(appended(placed)),
        Answer::Duplicate(placed) => Outcome::Duplicate(duplicate(placed)),
        Answer::Conflict { version } => Outcome::Conflict(Conflict { version }),
        Answer::KvConflict(conflict) => Outcome::KvConflict(conflict),
        answer @ Answer::Changed => return Err(unexpected(&answer)),
    };
    Ok(AppendResponse {
        outcome: Some(outcome),
    })
}

/// Tells the span what was appended.
pub(super) fn appended(placed: Placed) -> Appended {
    let span = tracing::Span::current();
    span.record("fedsx.position", placed.position);
    span.record("activitypub.activity.id", placed.activity_id.as_str());
    Appended {
        position: placed.position,
        version: placed.version,
        cid: placed.cid,
        activity_id: placed.activity_id,
    }
}

pub(super) fn duplicate(placed: Placed) -> v1::Duplicate {
    v1::Duplicate {
        position: placed.position,
        version: placed.version,
        cid: placed.cid,
        activity_id: placed.activity_id,
    }
}

/// A request before the stages.
struct Parsed {
    stream: Stream,
    append: Append,
    /// Of the entries, in order.
    activities: Vec<Activity>,
    /// What it weighs in the queue.
    bytes: usize,
}

fn parse(log: &LogService, role: Role, request: AppendRequest, traceparent: &str) -> Result<Parsed, Refusal> {
    limits::name("stream", &request.stream, MAX_ID)?;
    let stream = Stream::parse(&request.stream).ok_or_else(|| malformed("`stream` names no stream"))?;
    authority::check(role, Action::Append(&stream))?;
    kv::check(role, &request.kv)?;
    if request.entries.is_empty() || request.entries.len() > MAX_ENTRIES {
        return Err(malformed(format!(
            "`entries` has {}, 1 to {MAX_ENTRIES} are taken",
            request.entries.len()
        )));
    }
    let mut entries = Vec::with_capacity(request.entries.len());
    let mut activities = Vec::with_capacity(request.entries.len());
    for entry in request.entries {
        let (activity, complete) = complete(log, &stream, entry.body)?;
        activities.push(activity);
        entries.push(NewEntry {
            activity: complete,
            checked: Checked::default(),
            meta: meta::complete(entry.meta, traceparent)?,
        });
    }
    distinct(&entries)?;
    let bytes = entries
        .iter()
        .map(|entry| entry.activity.body.len())
        .sum::<usize>()
        + kv::bytes(&request.kv);
    let append = Append {
        stream: request.stream,
        expected: expected(request.expected),
        entries,
        kv: request.kv,
    };
    Ok(Parsed {
        stream,
        append,
        activities,
        bytes,
    })
}

fn expected(expected: Option<v1::Expected>) -> Expected {
    match expected.and_then(|expected| expected.kind) {
        Some(Kind::Version(version)) => Expected::Version(version),
        Some(Kind::Empty(true)) => Expected::Version(0),
        Some(Kind::Empty(false) | Kind::Any(_)) | None => Expected::Any,
    }
}

/// Parses an activity, checks that it belongs in the stream, and takes from it what the log keeps beside it.
fn complete(log: &LogService, stream: &Stream, body: Bytes) -> Result<(Activity, Complete), Refusal> {
    let activity = Activity::parse(&body).map_err(refusal::activity)?;
    limits::name("id", activity.id(), MAX_ID)?;
    fits(&log.origin, stream, activity.actor())?;
    let complete = Complete {
        cid: activity.cid().clone(),
        activity_id: activity.id().to_owned(),
        public: activity.is_public(),
        body,
    };
    Ok((activity, complete))
}

/// Whose activities a stream takes.
fn fits(origin: &Origin, stream: &Stream, actor: &str) -> Result<(), Refusal> {
    let (fits, takes) = match stream {
        Stream::Inbox(remote) => (
            actor == remote && !origin.owns(actor),
            "takes what this actor of another origin said",
        ),
        Stream::Domain => (origin.is_base(actor), "takes what the domain's base decided"),
        Stream::Flow(_) => (origin.owns(actor), "takes what actors of this domain did"),
        Stream::Outbox(_) => (false, "is written by publishing"),
    };
    if fits {
        return Ok(());
    }
    Err(malformed(format!(
        "`actor` {actor} does not fit: {stream} {takes}"
    )))
}

/// An activity twice in one append would be a duplicate of itself.
fn distinct(entries: &[NewEntry]) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    let repeated = entries.iter().find(|entry| {
        let cid = seen.insert(entry.activity.cid.as_str());
        let id = seen.insert(entry.activity.activity_id.as_str());
        !(cid && id)
    });
    match repeated {
        Some(entry) => Err(malformed(format!(
            "`entries` has {} twice",
            entry.activity.activity_id
        ))),
        None => Ok(()),
    }
}
