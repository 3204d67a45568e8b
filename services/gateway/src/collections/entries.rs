//! Collections of the log's public entries: an outbox, or everything.

use axum::response::Response;
use fedsx_kernel::cid::Cid;
use fedsx_proto::v1::{Entry, ReadRequest};
use fedsx_runtime::code::{Code, Refusal};
use http::HeaderMap;

use super::{Ask, FIRST, PAGE, collection, malformed, page, page_url, with_items};
use crate::{
    App,
    media::{self, Keep, Media},
    problem::Problem,
};

/// A page ends before its items pass this size, so that a peer's bounded fetch can read it; one item it always has.
/// Bytes.
const MAX_PAGE: usize = 512 << 10;
/// The cursor of the oldest page.
const LAST: &str = "last";

/// A collection of public entries.
#[derive(Debug, Clone)]
pub(crate) struct Entries {
    /// The collection's URL.
    pub(crate) id: String,
    /// Only this stream; empty: the whole log.
    pub(crate) stream: String,
    /// The collection itself shows its newest items, for people who open it.
    pub(crate) shows_items: bool,
}

impl Entries {
    pub(crate) async fn answer(&self, app: &App, ask: Ask, headers: &HeaderMap) -> Result<Response, Problem> {
        let body = match ask {
            Ask::Whole => self.whole(app).await?,
            Ask::Page(cursor) => self.page(app, &cursor).await?,
            Ask::After(cid) => self.after(app, &cid).await?,
        };
        Ok(media::answer(
            media::preferred(headers, &Media::DOCUMENT),
            Keep::Never,
            body,
        ))
    }

    async fn whole(&self, app: &App) -> Result<Vec<u8>, Refusal> {
        let limit = if self.shows_items { PAGE } else { 1 };
        let answer = app.log.read(self.request(0, true, limit, true)).await?;
        let mut members = collection(&self.id, answer.total, LAST);
        if !self.shows_items {
            return Ok(serde_json::to_vec(&members).unwrap_or_default());
        }
        let Slice { entries, more } = Slice::cut(answer.entries);
        if let Some(last) = entries.last().filter(|_| more) {
            members.insert("next".to_owned(), self.page_url(last).into());
        }
        Ok(with_items(&members, entries.iter().map(|entry| &entry.body[..])))
    }

    async fn page(&self, app: &App, cursor: &str) -> Result<Vec<u8>, Refusal> {
        let id = page_url(&self.id, "page", cursor);
        let oldest = cursor == LAST;
        let from = if oldest || cursor == FIRST {
            0
        } else {
            cursor
                .parse()
                .map_err(|_| malformed("`page` is none of this collection's cursors"))?
        };
        let answer = app.log.read(self.request(from, !oldest, PAGE, false)).await?;
        let Slice { mut entries, more } = Slice::cut(answer.entries);
        if oldest {
            entries.reverse();
        }
        let next = entries
            .last()
            .filter(|_| more && !oldest)
            .map(|last| self.page_url(last));
        Ok(with_items(
            &page(&self.id, &id, next),
            entries.iter().map(|entry| &entry.body[..]),
        ))
    }

    /// What follows an activity, oldest first: how a peer fills a gap in the public chain.
    async fn after(&self, app: &App, cid: &Cid) -> Result<Vec<u8>, Refusal> {
        let known = app.log.by_cid(cid).await?;
        let known = known
            .filter(|entry| entry.public && (self.stream.is_empty() || entry.stream == self.stream))
            .ok_or_else(|| Refusal::new(Code::NotFound, "the collection has no such activity"))?;
        let answer = app
            .log
            .read(self.request(known.position, false, PAGE, false))
            .await?;
        let Slice { entries, more } = Slice::cut(answer.entries);
        let next = entries
            .last()
            .filter(|_| more)
            .map(|last| page_url(&self.id, "after", &last.cid));
        let id = page_url(&self.id, "after", cid.as_str());
        Ok(with_items(
            &page(&self.id, &id, next),
            entries.iter().map(|entry| &entry.body[..]),
        ))
    }

    /// One entry more than is shown tells whether there is a next page.
    fn request(&self, from: u64, descending: bool, limit: usize, count: bool) -> ReadRequest {
        ReadRequest {
            stream: self.stream.clone(),
            public_only: true,
            descending,
            from,
            limit: u32::try_from(limit + 1).unwrap_or(u32::MAX),
            positions: Vec::new(),
            count,
        }
    }

    fn page_url(&self, last: &Entry) -> String {
        page_url(&self.id, "page", &last.position.to_string())
    }
}

/// The entries that fit a page.
#[derive(Debug)]
struct Slice {
    entries: Vec<Entry>,
    more: bool,
}

impl Slice {
    fn cut(mut entries: Vec<Entry>) -> Self {
        let mut size = 0;
        let fitting = entries.iter().take(PAGE).take_while(|entry| {
            let first = size == 0;
            size += entry.body.len();
            first || size <= MAX_PAGE
        });
        let keep = fitting.count();
        let more = keep < entries.len();
        entries.truncate(keep);
        Self { entries, more }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn entries(sizes: &[usize]) -> Vec<Entry> {
        let entry = |size: &usize| Entry {
            body: Bytes::from(vec![b' '; *size]),
            ..Entry::default()
        };
        sizes.iter().map(entry).collect()
    }

    #[test]
    fn a_page_is_bounded_in_items_and_bytes_and_never_empty() {
        let cases: [(&[usize], usize, bool); 5] = [
            (&[10; PAGE], PAGE, false),
            (&[10; PAGE + 1], PAGE, true),
            (&[MAX_PAGE + 1, 10], 1, true),
            (&[MAX_PAGE / 2, MAX_PAGE / 2, 1], 2, true),
            (&[], 0, false),
        ];
        for (sizes, kept, more) in cases {
            let slice = Slice::cut(entries(sizes));
            assert_eq!(
                (slice.entries.len(), slice.more),
                (kept, more),
                "{} entries",
                sizes.len()
            );
        }
    }
}
