//! AppendMany: appends that have nothing to do with each other, in one call.
//!
//! A gateway accepts activities faster than it is good to call for each: a call costs both sides more than the append
//! itself does.

use fedsx_proto::v1::{
    AppendManyRequest, AppendManyResponse, AppendRequest, AppendResponse, AppendResult, Refused,
    append_result,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    telemetry,
    token::Role,
};
use futures::future;
use tracing::{Instrument as _, Span};

use super::{LogService, append};
use crate::{limits::MAX_APPENDS, plan::Answer, refusal::malformed};

const CALL: &str = "AppendMany";

pub(super) async fn append_many(
    log: &LogService,
    role: Role,
    request: AppendManyRequest,
) -> Result<AppendManyResponse, Refusal> {
    if request.appends.len() > MAX_APPENDS {
        return Err(malformed(format!(
            "`appends` has {}, at most {MAX_APPENDS} are taken",
            request.appends.len()
        )));
    }
    let (mut spans, mut requests) = (Vec::with_capacity(request.appends.len()), Vec::new());
    for append in request.appends {
        let (span, traceparent) = trace(role, &append);
        let parsed = append::parsed(log, role, append, traceparent)
            .instrument(span.clone())
            .await;
        spans.push((span, parsed.map(|parsed| requests.push(parsed))));
    }
    let mut submitted = log.committer.submit_all(requests).await.into_iter();
    let answers = spans.into_iter().map(|(span, parsed)| {
        let written = parsed.map(|()| submitted.next());
        async move { super::told(&span, answer(log, written).instrument(span.clone()).await) }
    });
    let results = future::join_all(answers).await.into_iter().map(result).collect();
    Ok(AppendManyResponse { results })
}

async fn answer(
    log: &LogService,
    written: Result<Option<impl Future<Output = Result<Answer, Refusal>>>, Refusal>,
) -> Result<AppendResponse, Refusal> {
    let unsubmitted = || Refusal::new(Code::Internal, "the append was not submitted");
    let answer = async { written?.ok_or_else(unsubmitted)?.await };
    append::response(log.counted(CALL, answer).await?)
}

/// A span for each append, in the trace of the activity that it appends.
fn trace(role: Role, append: &AppendRequest) -> (Span, String) {
    let span = tracing::info_span!(
        "fedsx.v1.Log/Append",
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.service = "fedsx.v1.Log",
        rpc.method = CALL,
        fedsx.role = role.as_str(),
        fedsx.stream = %append.stream,
        fedsx.position = tracing::field::Empty,
        activitypub.activity.id = tracing::field::Empty,
    );
    let meta = append.entries.first().and_then(|entry| entry.meta.as_ref());
    let caller = meta.map_or("", |meta| meta.traceparent.as_str());
    telemetry::continue_trace(&span, caller);
    let traceparent = telemetry::traceparent(&span).unwrap_or_else(|| caller.to_owned());
    (span, traceparent)
}

fn result(answer: Result<AppendResponse, Refusal>) -> AppendResult {
    let result = match answer {
        Ok(answer) => append_result::Result::Answered(answer),
        Err(refusal) => append_result::Result::Refused(Refused {
            code: refusal.code.as_str().to_owned(),
            detail: refusal.detail,
        }),
    };
    AppendResult { result: Some(result) }
}
