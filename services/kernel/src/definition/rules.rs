//! Rules of a projection of relations: which edges between objects follow from which.

use serde_json::Value;

use super::{members::Members, read::DefinitionError};

/// Most rules of a projection.
pub const MAX_RULES: usize = 64;
const KINDS: [&str; 4] = ["is", "inverseOf", "composedOf", "includes"];

/// A rule that derives edges. An edge leads from one object to another and has a relation, which is a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationRule {
    /// The relation of the edges that it derives.
    pub relation: String,
    pub derives: Derives,
}

/// What a rule derives its edges from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Derives {
    /// `is: transitive`: from a to c where the relation leads from a to b and from b to c.
    Transitive,
    /// `is: symmetric`: from b to a where the relation leads from a to b.
    Symmetric,
    /// `inverseOf: S`: from b to a where S leads from a to b.
    InverseOf(String),
    /// `composedOf: [P, Q]`: from a to c where P leads from a to b and Q from b to c.
    ComposedOf(String, String),
    /// `includes: S`: from a to b where S does.
    Includes(String),
}

/// The rules under a key; none: the record has none, and its rows are no edges.
pub(super) fn rules(members: &Members<'_>, key: &str) -> Result<Option<Vec<RelationRule>>, DefinitionError> {
    let Some(values) = members.list(key)? else {
        return Ok(None);
    };
    if values.len() > MAX_RULES {
        let problem = format!("has {} rules, at most {MAX_RULES} are admitted", values.len());
        return Err(members.error(key, problem));
    }
    let rules = values.iter().enumerate();
    let rules = rules.map(|(place, value)| rule(&format!("{}[{place}]", members.at(key)), value));
    rules.collect::<Result<_, _>>().map(Some)
}

fn rule(path: &str, value: &Value) -> Result<RelationRule, DefinitionError> {
    let object = value
        .as_object()
        .ok_or_else(|| DefinitionError::new(path, "is no object"))?;
    let members = Members::of(
        path,
        object,
        &["relation", KINDS[0], KINDS[1], KINDS[2], KINDS[3]],
    )?;
    if KINDS.iter().filter(|kind| members.has(kind)).count() != 1 {
        let problem = format!("has to have one of {}", KINDS.join(", "));
        return Err(DefinitionError::new(path, problem));
    }
    let relation = members.name("relation")?.to_owned();
    let derives = match members.text("is") {
        Ok(Some("transitive")) => Derives::Transitive,
        Ok(Some("symmetric")) => Derives::Symmetric,
        Ok(None) => of_others(&members)?,
        _ => return Err(members.error("is", "is neither transitive nor symmetric")),
    };
    Ok(RelationRule { relation, derives })
}

fn of_others(members: &Members<'_>) -> Result<Derives, DefinitionError> {
    if members.has("inverseOf") {
        return Ok(Derives::InverseOf(members.name("inverseOf")?.to_owned()));
    }
    if members.has("includes") {
        return Ok(Derives::Includes(members.name("includes")?.to_owned()));
    }
    match members.names("composedOf")?.as_slice() {
        [first, second] => Ok(Derives::ComposedOf(first.clone(), second.clone())),
        _ => Err(members.error("composedOf", "is no list of two names")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(values: Value) -> Result<Option<Vec<RelationRule>>, String> {
        let record = json!({"rules": values});
        let members = Members::any(record.as_object().unwrap());
        rules(&members, "rules").map_err(|error| error.key)
    }

    #[test]
    fn each_kind_of_rule_is_read() {
        let read = read(json!([
            {"relation": "subtypeOf", "is": "transitive"},
            {"relation": "relatesTo", "is": "symmetric"},
            {"relation": "tags", "inverseOf": "tag"},
            {"relation": "uncle", "composedOf": ["parent", "brother"]},
            {"relation": "relatesTo", "includes": "context"},
        ]));
        let of = |relation: &str, derives| RelationRule {
            relation: relation.to_owned(),
            derives,
        };
        let expected = vec![
            of("subtypeOf", Derives::Transitive),
            of("relatesTo", Derives::Symmetric),
            of("tags", Derives::InverseOf("tag".to_owned())),
            of(
                "uncle",
                Derives::ComposedOf("parent".to_owned(), "brother".to_owned()),
            ),
            of("relatesTo", Derives::Includes("context".to_owned())),
        ];
        assert_eq!(read, Ok(Some(expected)));
    }

    #[test]
    fn what_is_no_rule_is_told_by_its_place() {
        for (rule, key) in [
            (json!("transitive"), "rules[0]"),
            (json!({"relation": "a"}), "rules[0]"),
            (
                json!({"relation": "a", "is": "transitive", "includes": "b"}),
                "rules[0]",
            ),
            (
                json!({"relation": "a b", "is": "transitive"}),
                "rules[0].relation",
            ),
            (json!({"relation": "a", "is": "reflexive"}), "rules[0].is"),
            (json!({"relation": "a", "is": 1}), "rules[0].is"),
            (json!({"relation": "a", "inverseOf": ""}), "rules[0].inverseOf"),
            (
                json!({"relation": "a", "composedOf": ["b"]}),
                "rules[0].composedOf",
            ),
            (
                json!({"relation": "a", "composedOf": ["b", "c d"]}),
                "rules[0].composedOf",
            ),
            (json!({"relation": "a", "composedOf": "b"}), "rules[0].composedOf"),
            (
                json!({"relation": "a", "is": "symmetric", "weight": 1}),
                "rules[0].weight",
            ),
        ] {
            assert_eq!(read(json!([rule])), Err(key.to_owned()), "{rule}");
        }
        let many = vec![json!({"relation": "a", "is": "symmetric"}); MAX_RULES + 1];
        assert_eq!(read(json!(many)), Err("rules".to_owned()));
    }
}
