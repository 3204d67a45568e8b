//! What the schema stages go by: what is known of types, and who speaks.

use std::{collections::HashMap, sync::Arc};

use fedsx_kernel::{cid::Cid, definition::TypeRecord};

use super::Registry;

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker<'a> {
    /// A local actor, of a draft.
    Local(&'a str),
    /// The domain's own base, of a draft: it may always define.
    Base,
    /// An actor of another domain.
    Remote,
}

/// What the stages know.
#[derive(Debug, Clone, Copy)]
pub struct Stages<'a> {
    pub registry: &'a Registry,
    /// Peers' types that the activity names, as far as they are here.
    pub fetched: &'a HashMap<Cid, Arc<TypeRecord>>,
    /// Whether an object whose type cannot be resolved is refused.
    pub strict: bool,
}
