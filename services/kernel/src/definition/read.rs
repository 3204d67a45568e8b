//! What kinds of records there are, and why a document is none.

use std::fmt;

use crate::canonical::CanonicalError;

/// What an entry's `remarks` say where what it defines took effect.
pub const DEFINES: &str = "defines";

/// A record that does not hold, by the key that is wrong: `fields[2].maxLength`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {problem}")]
pub struct DefinitionError {
    /// The path of the key inside of the record.
    pub key: String,
    pub problem: String,
}

impl DefinitionError {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }
}

impl From<CanonicalError> for DefinitionError {
    fn from(error: CanonicalError) -> Self {
        Self::new("object", error.to_string())
    }
}

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Type,
    Subtype,
    Verb,
    Projection,
    Behaviour,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Type,
        Self::Subtype,
        Self::Verb,
        Self::Projection,
        Self::Behaviour,
    ];

    /// The verb of the activities that publish such records.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Type => "DefineType",
            Self::Subtype => "SubtypeOf",
            Self::Verb => "DefineActivity",
            Self::Projection => "DefineProjection",
            Self::Behaviour => "DefineBehaviour",
        }
    }

    /// The kind that activities of a verb publish.
    #[must_use]
    pub fn of_verb(verb: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.verb() == verb)
    }

    /// The word for it: `type`, `subtype`, `verb`, `projection`, `behaviour`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Subtype => "subtype",
            Self::Verb => "verb",
            Self::Projection => "projection",
            Self::Behaviour => "behaviour",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What a refinement of the record calls the document that it is about.
    pub(super) const fn subject(self) -> &'static str {
        match self {
            Self::Type | Self::Subtype => "object",
            Self::Verb | Self::Projection | Self::Behaviour => "activity",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
