//! A field of a record: its native constraints, with JSON Schema's meaning where they have its names.

use serde_json::{Number, Value};

use super::{format::Format, members::Members, read::DefinitionError};

/// Most values of an `enum`.
const MAX_ENUM: usize = 256;
/// Most characters of a text that is `unique`: it becomes part of a key.
const MAX_UNIQUE: u64 = 256;
const KNOWN: [&str; 12] = [
    "name",
    "type",
    "required",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "maxItems",
    "enum",
    "format",
    "from",
    "unique",
];

/// What kind of JSON value a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    String,
    /// A number without a fraction.
    Integer,
    Number,
    Boolean,
    Object,
    Array,
}

impl FieldType {
    /// Every kind, with its word.
    pub const ALL: [(&'static str, Self); 6] = [
        ("string", Self::String),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("object", Self::Object),
        ("array", Self::Array),
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, found)| *found == self)
            .map_or("", |(word, _)| word)
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.as_number().is_some_and(is_integer),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
        }
    }
}

/// `1.0` is an integer too: canonical JSON writes it `1`.
fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

/// A field and what its value must be like. Lengths are Unicode scalar values; the `maxLength` of an array is that of each
/// text in it, which then holds neither lists nor objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// None: any.
    pub kind: Option<FieldType>,
    pub required: bool,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub minimum: Option<Number>,
    pub maximum: Option<Number>,
    pub max_items: Option<u64>,
    /// Empty: any.
    pub one_of: Vec<Value>,
    pub format: Option<Format>,
    /// What it is derived from, where an object of the defining domain leaves it out: of a slug, the field whose text it
    /// follows from; of another, an expression over the object.
    pub from: Option<String>,
    /// Whether no two objects of the defining domain have the same text.
    pub unique: bool,
}

impl Field {
    pub(super) fn read(path: &str, value: &Value) -> Result<Self, DefinitionError> {
        let object = value
            .as_object()
            .ok_or_else(|| DefinitionError::new(path, "is no object"))?;
        let members = Members::of(path, object, &KNOWN)?;
        let field = Self {
            name: members.name("name")?.to_owned(),
            kind: kind(&members)?,
            required: members.flag("required")?.unwrap_or(false),
            min_length: members.count("minLength")?,
            max_length: members.count("maxLength")?,
            minimum: number(&members, "minimum")?,
            maximum: number(&members, "maximum")?,
            max_items: members.count("maxItems")?,
            one_of: one_of(&members)?,
            format: format(&members)?,
            from: members.text("from")?.map(str::to_owned),
            unique: members.flag("unique")?.unwrap_or(false),
        };
        field.check(&members)?;
        Ok(field)
    }

    /// Constraints that could never apply, or never be met, are a slip of the author's.
    fn check(&self, members: &Members<'_>) -> Result<(), DefinitionError> {
        for (key, kinds) in [
            ("minLength", &[FieldType::String][..]),
            ("maxLength", &[FieldType::String, FieldType::Array]),
            ("format", &[FieldType::String]),
            ("unique", &[FieldType::String]),
            ("minimum", &[FieldType::Integer, FieldType::Number]),
            ("maximum", &[FieldType::Integer, FieldType::Number]),
            ("maxItems", &[FieldType::Array]),
        ] {
            if members.has(key) && !self.kind.is_some_and(|kind| kinds.contains(&kind)) {
                let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
                let problem = format!("needs `type: {}`", kinds.join("` or `"));
                return Err(members.error(key, problem));
            }
        }
        if self.min_length > self.max_length && self.max_length.is_some() {
            return Err(members.error("minLength", "is above `maxLength`"));
        }
        if let (Some(minimum), Some(maximum)) = (&self.minimum, &self.maximum)
            && minimum.as_f64() > maximum.as_f64()
        {
            return Err(members.error("minimum", "is above `maximum`"));
        }
        let is_slug = self.format == Some(Format::Slug);
        if self.from.is_some() && self.unique && !is_slug {
            return Err(members.error("unique", "needs `format: slug` where it is derived"));
        }
        if self.unique && !is_slug && self.max_length.is_none_or(|most| most > MAX_UNIQUE) {
            let problem = format!("needs `format: slug`, or a `maxLength` of at most {MAX_UNIQUE}");
            return Err(members.error("unique", problem));
        }
        let fits = |value: &Value| self.kind.is_none_or(|kind| kind.fits(value));
        match self.one_of.iter().all(fits) {
            true => Ok(()),
            false => Err(members.error("enum", "has a value of another type than `type`")),
        }
    }

    /// Of a slug that is derived: the field whose text it follows from.
    #[must_use]
    pub fn slug_of(&self) -> Option<&str> {
        self.from.as_deref().filter(|_| self.format == Some(Format::Slug))
    }

    /// Why a value is none for the field, in words that tell the value's shape and nothing of its content.
    pub(super) fn problem(&self, value: &Value) -> Option<String> {
        if let Some(kind) = self.kind
            && !kind.fits(value)
        {
            return Some(format!("is {}, not of type {}", shape(value), kind.as_str()));
        }
        let bounds = match value {
            Value::String(text) => self.text_problem(text),
            Value::Number(number) => self.number_problem(number),
            Value::Array(items) => self.list_problem(items),
            _ => None,
        };
        let is_other = !self.one_of.is_empty() && !self.one_of.contains(value);
        bounds.or_else(|| is_other.then(|| "is none of the values of `enum`".to_owned()))
    }

    fn text_problem(&self, text: &str) -> Option<String> {
        if self.min_length.is_some() || self.max_length.is_some() {
            let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            let (least, most) = (self.min_length.unwrap_or(0), self.max_length.unwrap_or(u64::MAX));
            if length < least {
                return Some(format!("has {length} characters, at least {least} are asked for"));
            }
            if length > most {
                return Some(format!("has {length} characters, at most {most} are admitted"));
            }
        }
        let format = self.format.filter(|format| !format.fits(text))?;
        let reason = format.reason(text).map(|reason| format!(": it {reason}"));
        let reason = reason.unwrap_or_default();
        Some(format!("is a string that is no {}{reason}", format.as_str()))
    }

    fn number_problem(&self, number: &Number) -> Option<String> {
        let value = number.as_f64()?;
        let bound = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
        if bound(&self.minimum).is_some_and(|least| value < least) {
            return Some("is a number below `minimum`".to_owned());
        }
        bound(&self.maximum)
            .is_some_and(|most| value > most)
            .then(|| "is a number above `maximum`".to_owned())
    }

    fn list_problem(&self, items: &[Value]) -> Option<String> {
        let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if let Some(most) = self.max_items.filter(|most| count > *most) {
            return Some(format!("has {count} items, at most {most} are admitted"));
        }
        let most = self.max_length?;
        let fits = |item: &Value| match item {
            Value::String(text) => u64::try_from(text.chars().count()).is_ok_and(|length| length <= most),
            Value::Array(_) | Value::Object(_) => false,
            _ => true,
        };
        let index = items.iter().position(|item| !fits(item))?;
        let shape = items.get(index).map(shape).unwrap_or_default();
        Some(format!(
            "has {shape} at {index}, at most {most} characters are admitted"
        ))
    }
}

/// What a value looks like, without what it says.
pub(super) fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(number) if is_integer(number) => "an integer".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) => format!("a string of {} characters", text.chars().count()),
        Value::Array(items) => format!("a list of {} items", items.len()),
        Value::Object(members) => format!("an object of {} members", members.len()),
    }
}

fn kind(members: &Members<'_>) -> Result<Option<FieldType>, DefinitionError> {
    let Some(word) = members.text("type")? else {
        return Ok(None);
    };
    match FieldType::ALL.iter().find(|(known, _)| *known == word) {
        Some((_, kind)) => Ok(Some(*kind)),
        None => {
            let words: Vec<_> = FieldType::ALL.iter().map(|(word, _)| *word).collect();
            Err(members.error("type", format!("is none of {}", words.join(", "))))
        }
    }
}

fn number(members: &Members<'_>, key: &str) -> Result<Option<Number>, DefinitionError> {
    match members.get(key) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number.clone())),
        Some(_) => Err(members.error(key, "is no number")),
    }
}

fn one_of(members: &Members<'_>) -> Result<Vec<Value>, DefinitionError> {
    let Some(values) = members.list("enum")? else {
        return Ok(Vec::new());
    };
    if values.is_empty() || values.len() > MAX_ENUM {
        return Err(members.error("enum", format!("has {} values: 1 to {MAX_ENUM}", values.len())));
    }
    if values.iter().any(|value| value.is_array() || value.is_object()) {
        return Err(members.error("enum", "has a list or an object"));
    }
    Ok(values.clone())
}

fn format(members: &Members<'_>) -> Result<Option<Format>, DefinitionError> {
    let Some(word) = members.text("format")? else {
        return Ok(None);
    };
    Format::parse(word).map(Some).ok_or_else(|| {
        let words: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        members.error("format", format!("is none of {}", words.join(", ")))
    })
}
