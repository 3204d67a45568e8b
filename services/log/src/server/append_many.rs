//! AppendMany: appends that have nothing to do with each other, in one call.
//!
//! A gateway accepts activities faster than it is good to call for each: a call costs both sides more than the append
//! itself does.

use fedsx_proto::v1::{
    AppendManyRequest, AppendManyResponse, AppendRequest, AppendResponse, AppendResult, Refused,
    append_result,
};
use fedsx_runtime::{code::Refusal, telemetry, token::Role};
use futures::future;
use tracing::{Instrument as _, Span};

use super::{LogService, append};
use crate::{limits::MAX_APPENDS, refusal::malformed};

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
    // All are parsed before the first waits, so that one batch takes them together.
    let mut parsed = Vec::with_capacity(request.appends.len());
    for append in request.appends {
        let (span, traceparent) = trace(role, &append);
        let request = append::parsed(log, role, append, traceparent)
            .instrument(span.clone())
            .await;
        parsed.push((span, request));
    }
    let written = parsed
        .into_iter()
        .map(|(span, request)| append::write(log, CALL, request).instrument(span));
    let results = future::join_all(written).await.into_iter().map(result).collect();
    Ok(AppendManyResponse { results })
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
