//! Paged collections (ActivityPub, section 5): outboxes and the public log, followers and following.
//!
//! A collection tells its size and its first and last page; a page is asked for with `?page=<cursor>`, and what came
//! after a known activity with `?after=<cid>`.

pub(crate) mod entries;
pub(crate) mod follows;
pub(crate) mod outbox;

use fedsx_kernel::{activity::CONTEXT, cid::Cid};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

/// Items of a page.
pub(crate) const PAGE: usize = 20;
/// The cursor of the first page of every collection.
pub(crate) const FIRST: &str = "0";

/// What a reader asks of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Whole,
    /// The page that begins after this cursor.
    Page(String),
    /// What came after this activity, oldest first.
    After(Cid),
}

impl Ask {
    /// Reads a query string; parameters of others are passed over.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Refusal> {
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "page" => return Ok(Self::Page(value.into_owned())),
                "after" => {
                    return value
                        .parse()
                        .map(Self::After)
                        .map_err(|error| malformed(format!("`after`: {error}")));
                }
                _ => {}
            }
        }
        Ok(Self::Whole)
    }
}

pub(crate) fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(Code::Malformed, detail)
}

/// The URL of a page.
pub(crate) fn page_url(collection: &str, parameter: &str, value: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair(parameter, value)
        .finish();
    format!("{collection}?{query}")
}

/// The members that every collection has.
pub(crate) fn collection(id: &str, total: u64, last: &str) -> Map<String, Value> {
    members(json!({
        "@context": CONTEXT,
        "id": id,
        "type": "OrderedCollection",
        "totalItems": total,
        "first": page_url(id, "page", FIRST),
        "last": page_url(id, "page", last),
    }))
}

/// The members that every page has, its items left out.
pub(crate) fn page(collection: &str, id: &str, next: Option<String>) -> Map<String, Value> {
    let mut page = members(json!({
        "@context": CONTEXT,
        "id": id,
        "type": "OrderedCollectionPage",
        "partOf": collection,
    }));
    page.extend(next.map(|next| ("next".to_owned(), Value::String(next))));
    page
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// A document with `orderedItems` put in as the bytes they are: each must be JSON, and stays what was signed.
pub(crate) fn with_items<'a>(members: &Map<String, Value>, items: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = serde_json::to_vec(members).unwrap_or_default();
    // The closing brace makes room for one more member.
    body.pop();
    body.extend_from_slice(b",\"orderedItems\":[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(item);
    }
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTBOX: &str = "https://blog.example/outbox";

    #[test]
    fn items_stay_the_bytes_they_are() {
        let items: [&[u8]; 2] = [b"{\"b\":1.0,\"a\":2}", b"3"];
        let body = with_items(&page(OUTBOX, "x", None), items.into_iter());
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains(r#""orderedItems":[{"b":1.0,"a":2},3]}"#), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["partOf"], OUTBOX);
        let empty = with_items(&page(OUTBOX, "x", None), std::iter::empty());
        assert_eq!(
            serde_json::from_slice::<Value>(&empty).unwrap()["orderedItems"],
            json!([])
        );
    }

    #[test]
    fn cursors_survive_a_url() {
        let url = page_url(OUTBOX, "page", "https://a.example/?x=1&y=2#é");
        let query = url.split_once('?').unwrap().1;
        assert_eq!(
            Ask::parse(Some(query)).unwrap(),
            Ask::Page("https://a.example/?x=1&y=2#é".to_owned())
        );
    }

    #[test]
    fn a_cid_that_is_none_is_malformed() {
        assert_eq!(
            Ask::parse(Some("after=nonsense")).unwrap_err().code,
            Code::Malformed
        );
        assert_eq!(Ask::parse(Some("utm=1")).unwrap(), Ask::Whole);
        assert_eq!(Ask::parse(None).unwrap(), Ask::Whole);
    }
}
