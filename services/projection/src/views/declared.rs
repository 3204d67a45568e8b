//! Views that are data: `when`, `key` and `fold` in the profile of CEL, over the activity and what is known of its entry.

use std::sync::Arc;

use fedsx_kernel::{
    definition::Declared,
    predicate::{Binding, MAX_BOUND, Verdict},
    stream::Stream,
};
use serde_json::Value;

use super::{FoldError, Touched};
use crate::{entry::Entry, relations::edges};

/// Most rows that one entry touches. Whoever makes more keys has said nothing.
pub(crate) const MAX_KEYS: usize = 64;
/// Most bytes of a row. More is an error: a fold that gathers without bound would cost more with every entry.
pub(crate) const MAX_ROW: usize = 64 << 10;
/// What each expression may cost. Units.
const BUDGET: u64 = MAX_BOUND;

/// A fold that a record declares.
///
/// An entry of which `when` is not true, or of which it or `key` has no value, does not concern the view: what strangers send
/// may be of any shape, and must not halt it. Once an entry does, `fold` has to have a value.
#[derive(Debug)]
pub(crate) struct View {
    fold: Arc<Declared>,
}

impl View {
    pub(super) fn new(fold: Arc<Declared>) -> Self {
        Self { fold }
    }

    fn keys(&self, entry: &Entry) -> Option<Vec<String>> {
        let bindings = of_entry(entry);
        if let Some(when) = &self.fold.when
            && when.decide(&bindings, BUDGET).verdict != Verdict::True
        {
            return None;
        }
        match self.fold.key.evaluate(&bindings, BUDGET).value.ok()? {
            Value::String(key) if !key.is_empty() => Some(vec![key]),
            Value::Array(keys) if keys.len() <= MAX_KEYS => keys
                .into_iter()
                .map(|key| match key {
                    // Pages begin behind the empty key.
                    Value::String(key) if !key.is_empty() => Some(key),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}

impl super::View for View {
    fn listens(&self, stream: &Stream, verb: &str) -> bool {
        let verbs = &self.fold.verbs;
        let named = verbs.iter().any(|known| known == verb);
        match stream {
            Stream::Outbox(_) | Stream::Inbox(_) => named || verbs.is_empty(),
            // How flows go is heard only by who asks for it.
            Stream::Flow(_) => named,
            Stream::Domain => false,
        }
    }

    fn touches(&self, entry: &Entry) -> Touched {
        let concerns = self.listens(&entry.stream, entry.activity.verb()) && entry.is_about(&self.fold.types);
        match concerns.then(|| self.keys(entry)).flatten() {
            Some(keys) if !keys.is_empty() => Touched::Keys(keys),
            _ => Touched::Nothing,
        }
    }

    fn fold(&self, key: &str, state: Option<&Value>, entry: &Entry) -> Result<Option<Value>, FoldError> {
        let key = Value::from(key);
        let [activity, about] = of_entry(entry);
        let existed = state.is_some();
        let state = state.unwrap_or(&self.fold.seed);
        let bindings = [activity, about, state.into(), (&key).into()];
        let row = self.fold.fold.evaluate(&bindings, BUDGET).value;
        let row = Some(row.map_err(FoldError::Fold)?).filter(|row| !row.is_null());
        let row = match self.fold.rules {
            Some(_) => edges::kept(row, existed).map_err(FoldError::Row)?,
            None => row,
        };
        let bytes = row.as_ref().map_or(0, |row| row.to_string().len());
        if bytes > MAX_ROW {
            return Err(FoldError::Row(format!(
                "it has {bytes} bytes, at most {MAX_ROW} are kept"
            )));
        }
        Ok(row)
    }
}

fn of_entry(entry: &Entry) -> [Binding<'_>; 2] {
    [
        Binding::Object(entry.activity.document()),
        Binding::Json(&entry.about),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::{
        testing::{ALICE, BOB, Story, origin, projection},
        views::Projection,
    };

    fn view(record: Value) -> Projection {
        Projection::of(&projection(record), &origin()).unwrap()
    }

    fn endorsements() -> Value {
        json!({
            "name": "endorsements",
            "on": {"verbs": ["Endorse"]},
            "when": "entry.public",
            "key": "activity.object",
            "seed": {"count": 0, "last": ""},
            "fold": "{'count': state.count + 1, 'last': activity.actor, 'of': key, 'at': entry.at}",
        })
    }

    fn rows(record: Value, story: &Story) -> BTreeMap<String, Value> {
        story.rows(&*view(record).view)
    }

    fn endorse(object: &Value) -> Value {
        json!({"type": "Endorse", "object": object, "to": ["as:Public"]})
    }

    #[test]
    fn what_concerns_it_is_folded_from_the_seed_on() {
        let mut story = Story::default();
        let post = json!("https://blog.example/objects/1");
        story.received(BOB, endorse(&post));
        let last = story.published(ALICE, endorse(&post));
        story.received(BOB, json!({"type": "Endorse", "object": post}));
        story.received(BOB, json!({"type": "Like", "object": post, "to": ["as:Public"]}));
        let expected = json!({
            "count": 2, "last": ALICE, "of": post, "at": story.time(last.id()).to_string(),
        });
        assert_eq!(
            rows(endorsements(), &story),
            BTreeMap::from([(post.as_str().unwrap().to_owned(), expected)])
        );
    }

    #[test]
    fn strangers_say_nothing_by_what_has_no_key() {
        let mut story = Story::default();
        for object in [json!({"id": "https://events.example/1"}), json!([])] {
            story.received(BOB, endorse(&object));
        }
        assert!(rows(endorsements(), &story).is_empty());
        story.received(BOB, endorse(&json!("a")));
        for key in ["''", "['a', '']", "[activity.object, 7]", "entry"] {
            let mut record = endorsements();
            record["key"] = key.into();
            assert!(rows(record, &story).is_empty(), "{key}");
        }
    }

    #[test]
    fn an_entry_touches_as_many_rows_as_it_names_and_null_deletes_one() {
        let record = json!({
            "name": "tags",
            "on": {"verbs": ["Create", "Delete"], "types": ["Note"]},
            "key": "activity.object.tag.map(tag, tag.name)",
            "fold": "activity.type == 'Delete' ? null : [activity.object.id]",
        });
        let note = |tags: &[&str]| {
            let tag: Vec<_> = tags
                .iter()
                .map(|name| json!({"type": "Hashtag", "name": name}))
                .collect();
            json!({"id": "https://blog.example/objects/1", "type": "Note", "tag": tag})
        };
        let mut story = Story::default();
        story.published(ALICE, json!({"type": "Create", "object": note(&["jazz", "gig"])}));
        let many: Vec<String> = (0..=MAX_KEYS).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        story.published(ALICE, json!({"type": "Create", "object": note(&many)}));
        story.published(ALICE, json!({"type": "Delete", "object": note(&["gig"])}));
        let mut event = note(&["jazz"]);
        event["type"] = "Event".into();
        story.published(ALICE, json!({"type": "Delete", "object": event}));
        let kept: Vec<_> = rows(record, &story).into_keys().collect();
        assert_eq!(kept, ["jazz"]);
    }

    #[test]
    fn a_fold_without_a_value_or_with_too_large_a_one_is_an_error() {
        let folded = |fold: &str| {
            let mut record = endorsements();
            record["fold"] = fold.into();
            let mut story = Story::default();
            story.received(BOB, endorse(&json!("a")));
            let entry = story.entries().remove(0);
            view(record)
                .view
                .fold("a", Some(&json!(["x".repeat(40_000)])), &entry)
        };
        assert!(matches!(folded("state.count"), Err(FoldError::Fold(_))));
        let error = folded("state + state").unwrap_err().to_string();
        assert!(error.contains("at most 65536"), "{error}");
    }

    #[test]
    fn only_what_actors_say_concerns_it() {
        let view = view(endorsements());
        assert!(!view.view.listens(&Stream::Domain, "Endorse"));
        let mut all = endorsements();
        all["on"] = json!({});
        let flow = Stream::Flow("1".to_owned());
        assert!(!self::view(all).view.listens(&flow, "Transition"));
        assert!(view.view.listens(&flow, "Endorse"), "what it names, it hears");
    }
}
