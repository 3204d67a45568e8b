//! An object's canonical form in pieces, one for each member: written once, put together in several forms.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{CanonicalError, TYPICAL, write};

/// The members of an outermost object.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Members {
    /// Each member's text, `"name":value`, in the order in which they were set.
    text: Vec<u8>,
    /// In canonical order.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq)]
struct Piece {
    name: String,
    /// The member in the text.
    member: Range<usize>,
    /// Where in the text its value begins.
    value: usize,
}

impl Members {
    /// The members of an object.
    ///
    /// # Errors
    /// [`CanonicalError`] where the object has no canonical form.
    pub(crate) fn of(object: &Map<String, Value>) -> Result<Self, CanonicalError> {
        let mut members = Self {
            text: Vec::with_capacity(TYPICAL),
            pieces: Vec::with_capacity(object.len()),
        };
        write::in_order(object, |name, value| members.set(name, value))?;
        Ok(members)
    }

    /// Sets a member.
    ///
    /// # Errors
    /// [`CanonicalError`] where the value has no canonical form.
    pub(crate) fn set(&mut self, name: &str, value: &Value) -> Result<(), CanonicalError> {
        self.write(name, |out| write::value(out, value, 1))
    }

    /// Sets a member to a string.
    pub(crate) fn set_string(&mut self, name: &str, value: &str) {
        let _ = self.write(name, |out| {
            write::string(out, value);
            Ok(())
        });
    }

    /// Sets a member to what is in canonical form already.
    pub(crate) fn set_canonical(&mut self, name: &str, value: &[u8]) {
        let _ = self.write(name, |out| {
            out.extend_from_slice(value);
            Ok(())
        });
    }

    fn write(
        &mut self,
        name: &str,
        value: impl FnOnce(&mut Vec<u8>) -> Result<(), CanonicalError>,
    ) -> Result<(), CanonicalError> {
        let start = self.text.len();
        write::string(&mut self.text, name);
        self.text.push(b':');
        let value_start = self.text.len();
        value(&mut self.text)?;
        let piece = Piece {
            name: name.to_owned(),
            member: start..self.text.len(),
            value: value_start,
        };
        match self.find(name) {
            Ok(at) => self.pieces[at] = piece,
            Err(at) => self.pieces.insert(at, piece),
        }
        Ok(())
    }

    /// The canonical form of a member's value.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let piece = &self.pieces[self.find(name).ok()?];
        Some(&self.text[piece.value..piece.member.end])
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        // They are mostly set in order.
        match self.pieces.last() {
            Some(last) if write::order(&last.name, name).is_ge() => self
                .pieces
                .binary_search_by(|piece| write::order(&piece.name, name)),
            _ => Err(self.pieces.len()),
        }
    }

    /// The object's canonical form.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.without(&[])
    }

    /// The canonical form of the object without some of its members.
    pub(crate) fn without(&self, left_out: &[&str]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        out.push(b'{');
        for piece in &self.pieces {
            if left_out.contains(&piece.name.as_str()) {
                continue;
            }
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(&self.text[piece.member.clone()]);
        }
        out.push(b'}');
        out
    }

    /// The length of the canonical form. Bytes.
    pub(crate) fn len(&self) -> usize {
        let members: usize = self.pieces.iter().map(|piece| piece.member.len()).sum();
        2 + members + self.pieces.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: &Value) -> Members {
        Members::of(value.as_object().unwrap()).unwrap()
    }

    fn text(members: &Members) -> String {
        let text = String::from_utf8(members.to_vec()).unwrap();
        assert_eq!(text.len(), members.len());
        text
    }

    #[test]
    fn put_together_they_are_the_objects_canonical_form() {
        for value in [
            json!({}),
            json!({"b": 1}),
            json!({"b": [1.0, {"z": null, "y": "\n"}], "a\"": {}, "\u{fb33}": 1, "\u{1f602}": 2}),
        ] {
            assert_eq!(
                text(&members(&value)).into_bytes(),
                crate::canonical::to_vec(&value).unwrap()
            );
        }
    }

    #[test]
    fn a_member_set_later_stands_where_it_belongs_and_in_the_place_of_the_one_before() {
        let mut set = members(&json!({"b": 1, "\u{1f602}": 2}));
        set.set_string("c", "\"");
        set.set_canonical("a", b"[true]");
        set.set("\u{fb33}", &json!({"n": 1.0})).unwrap();
        set.set_string("b", "other");
        assert_eq!(
            text(&set),
            "{\"a\":[true],\"b\":\"other\",\"c\":\"\\\"\",\"\u{1f602}\":2,\"\u{fb33}\":{\"n\":1}}"
        );
        assert_eq!(set.get("b"), Some(&b"\"other\""[..]));
        assert_eq!(set.get("z"), None);
    }

    #[test]
    fn members_are_left_out_wherever_they_stand() {
        let set = members(&json!({"a": 1, "b": 2, "c": 3}));
        for (left_out, rest) in [
            (&["a"][..], r#"{"b":2,"c":3}"#),
            (&["c", "b"], r#"{"a":1}"#),
            (&["a", "b", "c"], "{}"),
            (&["d"], r#"{"a":1,"b":2,"c":3}"#),
        ] {
            assert_eq!(set.without(left_out), rest.as_bytes());
        }
    }

    #[test]
    fn a_value_without_canonical_form_is_refused_and_leaves_no_trace() {
        let mut set = members(&json!({"a": 1}));
        assert!(set.set("b", &json!([u64::MAX])).is_err());
        assert_eq!(text(&set), r#"{"a":1}"#);
        assert!(Members::of(json!({"a": u64::MAX}).as_object().unwrap()).is_err());
    }
}
