//! The verb of an activity, without parsing the rest.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, SeqAccess, Visitor},
};

/// The verb of a document that is an activity; none where that has to be found out by parsing it. Costs a walk over the
/// bytes that builds nothing.
pub(crate) fn verb(body: &[u8]) -> Option<Cow<'_, str>> {
    let glance: Glance<'_> = serde_json::from_slice(body).ok()?;
    glance.kind.0
}

#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow, rename = "type")]
    kind: First<'a>,
}

/// A text, or the first one of an array.
struct First<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for First<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FirstVisitor)
    }
}

struct FirstVisitor;

impl<'de> Visitor<'de> for FirstVisitor {
    type Value = First<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name or an array of names")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<First<'de>, E> {
        Ok(First(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<First<'de>, E> {
        Ok(First(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<First<'de>, A::Error> {
        let first = names.next_element::<First<'de>>()?;
        while names.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first.and_then(|first| first.0)))
    }
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::activity::Activity;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::{BOB, complete, sample};

    #[test]
    fn a_verb_is_read_as_the_parser_reads_it() {
        for kind in [json!("Create"), json!(["Like", "Announce"]), json!("Ätsch\n\"")] {
            let said = json!({"type": kind, "object": {"type": "Note", "x": [{"type": 1}]}});
            let body = complete(BOB, said).to_string();
            let activity = Activity::parse(body.as_bytes()).unwrap();
            assert_eq!(verb(body.as_bytes()).unwrap(), activity.verb(), "{body}");
        }
    }

    #[test]
    fn what_is_no_activity_has_to_be_parsed() {
        for body in [
            "",
            "{}",
            "[]",
            "{\"type\": 1}",
            "{\"type\": []}",
            "{\"type\": \"a\", \"type\": \"b\"}",
            "{\"type\": \"a\"",
            "{\"type\": \"a\"} {}",
            "{\"type\": {\"id\": \"a\"}}",
        ] {
            assert_eq!(verb(body.as_bytes()), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn every_activity_has_its_verb(story in sample::story(30)) {
            for entry in &story.entries {
                let activity = Activity::parse(&entry.body).unwrap();
                let verb = verb(&entry.body);
                prop_assert_eq!(verb.as_deref(), Some(activity.verb()));
            }
        }
    }
}
