//! Reading entries.

use fedsx_proto::v1::{DescribeResponse, Entry, GetRequest, ReadRequest, ReadResponse, get_request};
use fedsx_runtime::code::{Code, Refusal};

use super::LogService;
use crate::{
    limits::{self, MAX_PAGE, MAX_PAGE_BYTES},
    refusal::malformed,
    store::{By, Head, PageQuery, StoreError},
};

pub(super) async fn describe(log: &LogService) -> Result<DescribeResponse, Refusal> {
    let head = head(log).await?;
    Ok(DescribeResponse {
        origin: log.origin.to_string(),
        head: head.position,
    })
}

pub(super) async fn get(log: &LogService, request: GetRequest) -> Result<Entry, Refusal> {
    let by = match request.by {
        Some(get_request::By::Position(position)) => By::Position(position),
        Some(get_request::By::Cid(cid)) => By::Cid(cid),
        Some(get_request::By::ActivityId(id)) if !id.is_empty() => By::ActivityId(id),
        Some(get_request::By::ActivityId(_)) | None => return Err(malformed("`by` is missing")),
    };
    let found = log.store.entry(&by).await.map_err(refuse)?;
    found.ok_or_else(|| Refusal::new(Code::NotFound, "the log has no such entry"))
}

/// A page ends at its limit, or at 16 MiB of bodies: only an empty page is the end.
pub(super) async fn read(log: &LogService, request: ReadRequest) -> Result<ReadResponse, Refusal> {
    // Before the page: all that the filter matches up to here is in the page, or behind its end.
    let head = head(log).await?;
    if !request.positions.is_empty() {
        let count = request.positions.len();
        if u32::try_from(count).map_or(true, |count| count > MAX_PAGE) {
            return Err(malformed(format!(
                "`positions` has {count}, at most {MAX_PAGE} are read"
            )));
        }
        let entries = log
            .store
            .at(&request.positions, MAX_PAGE_BYTES)
            .await
            .map_err(refuse)?;
        return Ok(ReadResponse {
            entries,
            head: head.position,
            total: 0,
        });
    }
    let total = if request.count {
        total(log, &request, head).await?
    } else {
        0
    };
    let from = if request.descending && request.from == 0 {
        u64::MAX
    } else {
        request.from
    };
    let query = PageQuery {
        stream: Some(request.stream).filter(|stream| !stream.is_empty()),
        public_only: request.public_only,
        descending: request.descending,
        from,
        limit: limits::page(request.limit)?,
        max_bytes: MAX_PAGE_BYTES,
    };
    let entries = log.store.page(&query).await.map_err(refuse)?;
    let newest = entries.iter().map(|entry| entry.position).max().unwrap_or(0);
    Ok(ReadResponse {
        entries,
        head: head.position.max(newest),
        total,
    })
}

/// How many entries the stream and public filters match, counted as they are appended.
async fn total(log: &LogService, request: &ReadRequest, head: Head) -> Result<u64, Refusal> {
    let (all, public) = if request.stream.is_empty() {
        (head.position, head.public)
    } else {
        let row = log.store.stream(&request.stream).await.map_err(refuse)?;
        row.map_or((0, 0), |row| (row.version, row.public))
    };
    Ok(if request.public_only { public } else { all })
}

async fn head(log: &LogService) -> Result<Head, Refusal> {
    log.store.head().await.map_err(refuse)
}

fn refuse(error: StoreError) -> Refusal {
    error.refuse()
}
