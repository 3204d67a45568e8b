//! The domain's small state.

use std::collections::HashSet;

use fedsx_proto::v1::{
    ChangeKvRequest, ChangeKvResponse, GetKvRequest, GetKvResponse, KvChange, ListKvRequest, ListKvResponse,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::Role,
};

use super::{LogService, unexpected};
use crate::{
    authority::{self, Action},
    limits::{self, MAX_CHANGES, MAX_KEY, MAX_PAGE_BYTES, MAX_SPACE, MAX_VALUE},
    plan::{Answer, Request},
    refusal::malformed,
    store::KvQuery,
};

pub(super) async fn get(log: &LogService, request: &GetKvRequest) -> Result<GetKvResponse, Refusal> {
    let item = log
        .store
        .kv_get(&request.space, &request.key)
        .await
        .map_err(|error| error.refuse())?;
    Ok(GetKvResponse { item })
}

pub(super) async fn list(log: &LogService, request: ListKvRequest) -> Result<ListKvResponse, Refusal> {
    let query = KvQuery {
        space: request.space,
        prefix: request.prefix,
        after: request.after,
        limit: limits::page(request.limit)?,
        max_bytes: MAX_PAGE_BYTES,
    };
    let items = log.store.kv_list(&query).await.map_err(|error| error.refuse())?;
    Ok(ListKvResponse { items })
}

pub(super) async fn change(
    log: &LogService,
    role: Role,
    request: ChangeKvRequest,
) -> Result<ChangeKvResponse, Refusal> {
    let parsed = check(role, &request.changes).map(|()| {
        let bytes = bytes(&request.changes);
        (Request::Change(request.changes), bytes)
    });
    match log.write("ChangeKv", parsed).await? {
        Answer::Changed => Ok(ChangeKvResponse { conflict: None }),
        Answer::KvConflict(conflict) => Ok(ChangeKvResponse {
            conflict: Some(conflict),
        }),
        answer => Err(unexpected(&answer)),
    }
}

/// Checks changes: allowed, bounded, and no key twice, which would leave open what its compare-and-set compares.
pub(super) fn check(role: Role, changes: &[KvChange]) -> Result<(), Refusal> {
    if changes.len() > MAX_CHANGES {
        return Err(malformed(format!(
            "`kv` has {} changes, at most {MAX_CHANGES} are taken",
            changes.len()
        )));
    }
    let mut seen = HashSet::new();
    for change in changes {
        limits::name("space", &change.space, MAX_SPACE)?;
        limits::name("key", &change.key, MAX_KEY)?;
        authority::check(role, Action::WriteKv { space: &change.space })?;
        let size = change.value.as_ref().map_or(0, bytes::Bytes::len);
        if size > MAX_VALUE {
            let detail = format!(
                "the value of {:?} has {size} bytes, at most {MAX_VALUE} are taken",
                change.key
            );
            return Err(Refusal::new(Code::TooLarge, detail));
        }
        if !seen.insert((&change.space, &change.key)) {
            return Err(malformed(format!("`kv` changes {:?} twice", change.key)));
        }
    }
    Ok(())
}

/// What changes weigh in the queue.
pub(super) fn bytes(changes: &[KvChange]) -> usize {
    changes
        .iter()
        .map(|change| change.key.len() + change.value.as_ref().map_or(0, bytes::Bytes::len))
        .sum()
}
