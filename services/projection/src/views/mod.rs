//! Views: keyed folds over the log.
//!
//! A [`View`] says which rows an entry touches and what becomes of each; it never sees a store, a clock or another
//! row. Most are data ([`declared`]): a record that a domain defines is all there is to add. Those that federation itself goes
//! by are code: implement the trait in a file of its name here, list it in [`native`] and beside the records' reader, and
//! declare it in the bundle `core`.

use std::{fmt::Debug, sync::Arc};

use fedsx_kernel::{
    activity::Activity,
    definition::{Body, Kind, ProjectionRecord, RelationRule},
    origin::Origin,
    predicate::Failure,
    stream::Stream,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{entry::Entry, react, source::Interest};

pub(crate) mod actors;
mod blocks;
pub(crate) mod declared;
pub(crate) mod followers;
mod following;
mod objects;
pub(crate) mod relation;
#[cfg(test)]
mod shipped;

/// A keyed fold. The same entries in the same order must give the same rows: no clock, no randomness, nothing
/// remembered outside of the row.
pub(crate) trait View: Debug + Send + Sync + 'static {
    /// Whether entries of this stream with this verb may touch rows. What no view listens to is not even parsed.
    fn listens(&self, stream: &Stream, verb: &str) -> bool;

    /// The rows that an entry touches; none where it does not concern the view.
    fn touches(&self, entry: &Entry) -> Touched;

    /// The peer that the row with this key is about, so that [`Touched::Peer`] finds it.
    fn peer(&self, _key: &str) -> Option<Origin> {
        None
    }

    /// A touched row after the entry; none: there is no row.
    ///
    /// # Errors
    /// [`FoldError`]: the row's shard halts before this entry. What an entry merely has no right to say is no error, but
    /// changes nothing: an error is for what the view itself must have got wrong.
    fn fold(&self, key: &str, state: Option<&Value>, entry: &Entry) -> Result<Option<Value>, FoldError>;
}

/// Which rows an entry touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Touched {
    Nothing,
    /// These, whether they exist or not.
    Keys(Vec<String>),
    /// Every row there is that is about this peer.
    Peer(Origin),
}

impl Touched {
    fn key(key: impl Into<String>) -> Self {
        Self::Keys(vec![key.into()])
    }
}

/// A fold failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FoldError {
    #[error("its row cannot be read: {0}")]
    State(String),
    #[error("its row cannot be written: {0}")]
    Row(String),
    #[error("`fold` fails: {0}")]
    Fold(Failure),
}

/// A view under the id that its rows are kept by: the CID of the record that defines it.
#[derive(Debug)]
pub(crate) struct Projection {
    pub(crate) id: String,
    /// What readers call it.
    pub(crate) name: String,
    pub(crate) view: Box<dyn View>,
    /// Where its rows are edges: what follows from them.
    pub(crate) rules: Option<Arc<[RelationRule]>>,
}

impl Projection {
    /// What a record defines; none where this version has no such fold.
    pub(crate) fn of(record: &ProjectionRecord, origin: &Origin) -> Option<Self> {
        let (view, rules) = match record.body() {
            Body::Native(version) => (native(record.name(), *version, origin)?, None),
            Body::Declared(fold) => {
                let view: Box<dyn View> = Box::new(declared::View::new(fold.clone()));
                (view, fold.rules.clone())
            }
        };
        Some(Self {
            id: record.cid().to_string(),
            name: record.name().to_owned(),
            view,
            rules: rules.map(Arc::from),
        })
    }
}

/// The folds that are code.
pub(crate) fn native(name: &str, version: u32, origin: &Origin) -> Option<Box<dyn View>> {
    let origin = origin.clone();
    Some(match (name, version) {
        ("actors", 1) => Box::new(actors::Actors::new(origin)),
        ("blocks", 1) => Box::new(blocks::Blocks),
        ("followers", 1) => Box::new(followers::view(origin)),
        ("following", 1) => Box::new(following::view(origin)),
        ("following_by", 1) => Box::new(following::by_followed(origin)),
        ("objects", 1) => Box::new(objects::Objects::new(origin)),
        _ => return None,
    })
}

/// What any of the views listens to, and what defines another, so that it works at once; where it is `heard` by the reaction,
/// also what that listens to.
pub(crate) fn interest(projections: &Arc<[Arc<Projection>]>, heard: bool) -> Interest {
    let projections = projections.clone();
    Interest::new(move |stream, verb| {
        let mut views = projections.iter().map(|projection| &projection.view);
        let defines = matches!(stream, Stream::Outbox(_)) && verb == Kind::Projection.verb();
        let reacts = heard && react::hearing::listens(stream, verb);
        defines || reacts || views.any(|view| view.listens(stream, verb))
    })
}

/// Whether an id is one that this domain gives its actors.
pub(crate) fn is_local_actor(origin: &Origin, id: &str) -> bool {
    id == origin.base() || origin.actor_name(id).is_some()
}

/// The local actor that said this in its own outbox.
fn local_speaker(entry: &Entry) -> Option<&str> {
    match &entry.stream {
        Stream::Outbox(actor) if actor == entry.activity.actor() => Some(actor),
        _ => None,
    }
}

/// The embedded object of an activity, with its id.
fn embedded(activity: &Activity) -> Option<(&str, &serde_json::Map<String, Value>)> {
    match activity.object() {
        fedsx_kernel::activity::Object::Embedded(object) => Some((activity.object_id()?, object)),
        _ => None,
    }
}

/// A row as its view's own type.
fn read<T: DeserializeOwned>(state: Option<&Value>) -> Result<Option<T>, FoldError> {
    state
        .map(T::deserialize)
        .transpose()
        .map_err(|error| FoldError::State(error.to_string()))
}

fn write<T: Serialize>(row: &T) -> Result<Option<Value>, FoldError> {
    serde_json::to_value(row)
        .map(Some)
        .map_err(|error| FoldError::Row(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, sample};

    proptest! {
        #[test]
        fn a_view_listens_to_all_that_touches_it(story in sample::story(60)) {
            for entry in story.entries() {
                for projection in testing::views().iter() {
                    let view = &projection.view;
                    let heard = view.listens(&entry.stream, entry.activity.verb());
                    prop_assert!(heard || view.touches(&entry) == Touched::Nothing, "{} misses {entry:?}", projection.name);
                }
            }
        }
    }
}
