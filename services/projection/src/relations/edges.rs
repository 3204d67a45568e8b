//! The edges that a row of a projection of relations says.
//!
//! A row is a list of edges, `{"relation": "tag", "to": "jazz"}`: each leads from the row's key, or from its `from`. A
//! relation is a name (letters, digits, `_` and `-`), an end is a text of at most [`MAX_END`] bytes.

use fedsx_kernel::definition;
use serde_json::Value;

/// Most edges of a row.
pub(crate) const MAX_EDGES: usize = 1000;
/// Most bytes of a row, as JSON.
const MAX_ROW: usize = 60 << 10;
/// Longest name of an end. Bytes.
pub(crate) const MAX_END: usize = crate::store::MAX_KEY;

/// An edge as a row says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) relation: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

/// A row as a fold gave it, as it is kept; none: there is no row. Of its edges those are left out that strangers had a hand
/// in and no graph takes: where an end is no text, empty or too long, and those after the first [`MAX_EDGES`], or after 60 KiB. A row that
/// `existed` and is deleted is kept as an empty list, so that whoever follows the rows by their positions sees it go.
///
/// # Errors
/// What is wrong with it, where the record's author can have meant nothing by it.
pub(crate) fn kept(row: Option<Value>, existed: bool) -> Result<Option<Value>, String> {
    let mut edges = match row {
        None => Vec::new(),
        Some(Value::Array(edges)) => edges,
        Some(_) => return Err("it is no list of edges".to_owned()),
    };
    edges.iter().try_for_each(check)?;
    let mut bytes = 0;
    edges.retain(|edge| {
        let fits = said("the row's key", edge).is_some();
        bytes += if fits { edge.to_string().len() + 1 } else { 0 };
        fits && bytes < MAX_ROW
    });
    edges.truncate(MAX_EDGES);
    Ok((existed || !edges.is_empty()).then_some(Value::Array(edges)))
}

fn check(edge: &Value) -> Result<(), String> {
    let members = edge.as_object().ok_or("an edge is no object")?;
    let unknown = |key: &&String| !["relation", "from", "to"].contains(&key.as_str());
    if let Some(key) = members.keys().find(unknown) {
        return Err(format!("an edge's {key:?} is none of relation, from, to"));
    }
    let relation = members.get("relation").and_then(Value::as_str);
    match relation.is_some_and(definition::is_name) && members.contains_key("to") {
        true => Ok(()),
        false => Err("an edge has not both a relation, which is a name, and `to`".to_owned()),
    }
}

/// The edges of a stored row.
pub(super) fn of_row<'a>(key: &'a str, row: &'a Value) -> impl Iterator<Item = Said<'a>> {
    let edges = row.as_array().into_iter().flatten();
    edges.filter_map(|edge| said(key, edge))
}

fn said<'a>(key: &'a str, edge: &'a Value) -> Option<Said<'a>> {
    let end = |value: &'a Value| {
        value
            .as_str()
            .filter(|end| !end.is_empty() && end.len() <= MAX_END)
    };
    Some(Said {
        relation: edge.get("relation")?.as_str()?,
        from: edge.get("from").map_or(Some(key), end)?,
        to: end(edge.get("to")?)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_strangers_can_say_wrong_is_left_out() {
        let good = json!({"relation": "tag", "to": "jazz"});
        let own = json!({"relation": "tag", "from": "b", "to": "jazz"});
        let row = json!([
            good, {"relation": "tag", "to": 7}, {"relation": "tag", "to": ""},
            {"relation": "tag", "to": "j".repeat(MAX_END + 1)}, {"relation": "tag", "from": null, "to": "x"}, own,
        ]);
        let row = kept(Some(row), false).unwrap().unwrap();
        assert_eq!(row, json!([good, own]));
        let ends: Vec<_> = of_row("a", &row).map(|said| (said.from, said.to)).collect();
        assert_eq!(ends, [("a", "jazz"), ("b", "jazz")]);
    }

    #[test]
    fn no_more_edges_are_kept_than_a_row_may_have() {
        let edges = (0..=MAX_EDGES).map(|to| json!({"relation": "tag", "to": to.to_string()}));
        let row = kept(Some(edges.collect()), true).unwrap().unwrap();
        assert_eq!(row.as_array().unwrap().len(), MAX_EDGES);
        let long = (0..100).map(|to| json!({"relation": "tag", "to": format!("{to:01000}")}));
        let row = kept(Some(long.collect()), true).unwrap().unwrap();
        let bytes = row.to_string().len();
        assert!(MAX_ROW - 2000 < bytes && bytes <= MAX_ROW, "{bytes}");
    }

    #[test]
    fn a_deleted_row_says_nothing_and_stays() {
        assert_eq!(kept(None, true), Ok(Some(json!([]))));
        assert_eq!(
            kept(Some(json!([])), false),
            Ok(None),
            "who never said anything has no row"
        );
    }

    #[test]
    fn what_the_records_author_got_wrong_is_an_error() {
        for row in [
            json!({}),
            json!(["jazz"]),
            json!([{"to": "jazz"}]),
            json!([{"relation": "tag"}]),
            json!([{"relation": "a tag", "to": "jazz"}]),
            json!([{"relation": "tag", "to": "jazz", "weight": 1}]),
        ] {
            assert!(kept(Some(row.clone()), true).is_err(), "{row}");
        }
    }
}
