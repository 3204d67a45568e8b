//! A YAML file as JSON, with the line of every key.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::genesis::problem::Problem;

/// A file that holds one mapping.
#[derive(Debug, Clone)]
pub(in crate::genesis) struct Document {
    pub(in crate::genesis) file: String,
    pub(in crate::genesis) members: Map<String, Value>,
    /// By the path of a key: `fields[2].maxLength`.
    lines: BTreeMap<String, u64>,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// The [`Problem`]: no YAML, a key twice, or something else than a mapping.
    pub(in crate::genesis) fn parse(file: &str, text: &str) -> Result<Self, Problem> {
        let problem = |line, text: String| Problem {
            file: file.to_owned(),
            line,
            key: String::new(),
            text,
        };
        // As YAML 1.2 has it, and editors: `yes` is a text.
        let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
        let tree: Spanned<Tree> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            problem(line, format!("is no YAML: {}", plain(&error.to_string())))
        })?;
        let mut lines = BTreeMap::new();
        match tree.value.place("", &mut lines) {
            Value::Object(members) => Ok(Self {
                file: file.to_owned(),
                members,
                lines,
            }),
            _ => Err(problem(1, "holds no mapping of keys to values".to_owned())),
        }
    }

    /// A problem at a key, or at the nearest around it that is there.
    pub(in crate::genesis) fn problem(&self, key: &str, text: impl Into<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.line(key),
            key: key.to_owned(),
            text: text.into(),
        }
    }

    fn line(&self, key: &str) -> u64 {
        let mut around = key;
        loop {
            if let Some(line) = self.lines.get(around) {
                return *line;
            }
            match around.rfind(['.', '[']).and_then(|end| around.get(..end)) {
                Some(shorter) => around = shorter,
                None => return 1,
            }
        }
    }
}

/// What is wrong, without what the library would have a program do about it.
fn plain(error: &str) -> &str {
    let hints = ["set DuplicateKeyPolicy", "use from_str_multiple", "use from_"];
    let before = hints
        .into_iter()
        .filter_map(|hint| error.split_once(hint))
        .map(|(before, _)| before);
    let before = before.min_by_key(|before| before.len()).unwrap_or(error);
    before.trim_end_matches(|letter: char| letter.is_whitespace() || ",;:.(".contains(letter))
}

#[derive(Debug)]
enum Tree {
    Scalar(Value),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl Tree {
    /// The value; notes the lines of what is in it.
    fn place(self, path: &str, lines: &mut BTreeMap<String, u64>) -> Value {
        match self {
            Self::Scalar(value) => value,
            Self::List(items) => {
                let items = items.into_iter().enumerate().map(|(index, item)| {
                    let path = format!("{path}[{index}]");
                    lines.insert(path.clone(), item.referenced.line());
                    item.value.place(&path, lines)
                });
                Value::Array(items.collect())
            }
            Self::Map(members) => {
                let members = members.into_iter().map(|(key, value)| {
                    let path = match path {
                        "" => key.value.clone(),
                        path => format!("{path}.{}", key.value),
                    };
                    lines.insert(path.clone(), key.referenced.line());
                    (key.value, value.value.place(&path, lines))
                });
                Value::Object(members.collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false, a list or a mapping")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }
    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "\
# A comment.
name: Article
fields:
  - name: title
    maxLength: 20
  - {name: tags, required: yes}
refinementSchema: >-
  size(object.title)
  > 1
ratio: 1.5
";

    #[test]
    fn every_key_has_its_line() {
        let document = Document::parse("a.yaml", TEXT).unwrap();
        let fields = json!([{"name": "title", "maxLength": 20}, {"name": "tags", "required": "yes"}]);
        let whole = json!({"name": "Article", "fields": fields, "refinementSchema": "size(object.title) > 1", "ratio": 1.5});
        assert_eq!(Value::Object(document.members.clone()), whole);
        for (key, line) in [
            ("name", 2),
            ("fields", 3),
            ("fields[0]", 4),
            ("fields[0].maxLength", 5),
            ("fields[0].absent", 4),
            ("fields[1].required", 6),
            ("refinementSchema", 7),
            ("absent", 1),
        ] {
            assert_eq!(document.line(key), line, "{key}");
        }
    }

    #[test]
    fn what_is_no_mapping_is_told_with_its_line() {
        let problem = |text| Document::parse("a.yaml", text).unwrap_err().to_string();
        assert!(
            problem("name: x\n  y: [\n").starts_with("a.yaml:2: is no YAML"),
            "{}",
            problem("name: x\n  y: [\n")
        );
        assert!(
            problem("name: x\nname: y\n").starts_with("a.yaml:2: "),
            "{}",
            problem("name: x\nname: y\n")
        );
        assert_eq!(
            problem("name: x\nname: y\n"),
            "a.yaml:2: is no YAML: duplicate mapping key: name"
        );
        let several = problem("name: x\n---\nname: y\n");
        assert!(
            several.contains(": is no YAML: ") && !several.contains("from_"),
            "{several}"
        );
        assert_eq!(problem("- x\n"), "a.yaml:1: holds no mapping of keys to values");
    }
}
