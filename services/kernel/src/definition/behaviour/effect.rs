//! What a step does to the world, and what has to be said for it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{
    super::{members::Members, read::DefinitionError},
    template::{Budget, Template},
};

/// A kind of effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EffectKind {
    /// Publishes an activity of a local actor. Its value: `{id, cid, position}`.
    Emit,
    /// Changes the value of a key of the domain's state, by compare-and-set in the transition's own append. Its value: the
    /// new value.
    Put,
    /// Posts a JSON document, signed and retried, by delivery. Its value: `{status}`, once the addressee has taken it.
    Webhook,
    /// Sends a mail. Its value: `{messageId}`.
    Mail,
    /// Checks an object by one of the domain's own types. Its value: `{valid, problem}`.
    Validate,
    /// Leaves a notification for a local actor. Its value: `{to, text, about}`.
    Notify,
    /// Reads rows of a view that has seen the flow's activity. Its value: a row's value, or a list of `{key, value}`.
    Query,
}

impl EffectKind {
    /// Every kind, with what has to be said for it, and what may be.
    const ALL: [(Self, &'static [&'static str], &'static [&'static str]); 7] = [
        (Self::Emit, &["activity"], &["actor"]),
        (Self::Put, &["key", "value"], &[]),
        (Self::Webhook, &["url", "body"], &["actor"]),
        (Self::Mail, &["to", "subject", "text"], &[]),
        (Self::Validate, &["type"], &["object"]),
        (Self::Notify, &["text"], &["to", "about"]),
        (Self::Query, &["view"], &["key", "prefix", "limit"]),
    ];

    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().map(|(kind, ..)| kind)
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Emit => "emit",
            Self::Put => "put",
            Self::Webhook => "webhook",
            Self::Mail => "mail",
            Self::Validate => "validate",
            Self::Notify => "notify",
            Self::Query => "query",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for EffectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An effect, and what is said for it.
#[derive(Debug, Clone)]
pub struct Effect {
    pub kind: EffectKind,
    with: BTreeMap<String, Template>,
}

impl Effect {
    /// Reads `effect` and `with` of a step whose expressions may use these variables.
    pub(super) fn read(members: &Members<'_>, variables: &[&str]) -> Result<Self, DefinitionError> {
        let word = members
            .text("effect")?
            .ok_or_else(|| members.error("effect", "is missing"))?;
        let Some((kind, needs, takes)) = EffectKind::ALL.iter().find(|(kind, ..)| kind.as_str() == word)
        else {
            let words: Vec<_> = EffectKind::all().map(EffectKind::as_str).collect();
            return Err(members.error("effect", format!("is none of {}", words.join(", "))));
        };
        let given = members
            .get("with")
            .and_then(Value::as_object)
            .ok_or_else(|| members.error("with", "is no object"))?;
        let known: Vec<&str> = needs.iter().chain(*takes).copied().collect();
        let path = members.at("with");
        let said = Members::of(path.as_str(), given, &known)?;
        if let Some(missing) = needs.iter().find(|key| !said.has(key)) {
            return Err(said.error(missing, "is missing"));
        }
        let mut budget = Budget::default();
        let mut with = BTreeMap::new();
        for (key, value) in given {
            let mut variables = variables.to_vec();
            if (*kind, key.as_str()) == (EffectKind::Put, "value") {
                variables.push("current");
            }
            let template = Template::read(&said.at(key), value, &variables, &mut budget)?;
            with.insert(key.clone(), template);
        }
        Ok(Self { kind: *kind, with })
    }

    /// What is said under a key; none: nothing.
    #[must_use]
    pub fn with(&self, key: &str) -> Option<&Template> {
        self.with.get(key)
    }

    /// What is said, by its keys.
    pub fn all_with(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.with.iter().map(|(key, template)| (key.as_str(), template))
    }
}

/// Most bytes of the URL of a webhook.
const MAX_URL: usize = 2048;

/// Whether a webhook may be posted there, as far as its URL tells.
#[must_use]
pub fn is_hook(url: &str) -> bool {
    let is_http = |url: Url| matches!(url.scheme(), "https" | "http");
    url.len() <= MAX_URL && Url::parse(url).is_ok_and(is_http)
}
