//! Which entries are worth parsing.

use std::{fmt, sync::Arc};

use fedsx_kernel::stream::Stream;
use fedsx_proto::v1;

use super::{IN_PLACE, SourceError, size};
use crate::entry::verb;

/// Whether anybody wants what a verb did in a stream.
type Interested = dyn Fn(&Stream, &str) -> bool + Send + Sync;

/// Which entries are worth parsing, by stream and verb. All others cost next to nothing.
#[derive(Clone)]
pub(crate) struct Interest(Arc<Interested>);

impl Interest {
    pub(crate) fn new(interest: impl Fn(&Stream, &str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(interest))
    }

    /// The entries that are of interest. The others are not looked at: they may even be damaged.
    pub(super) async fn wanted(&self, mut entries: Vec<v1::Entry>) -> Result<Vec<v1::Entry>, SourceError> {
        if size(&entries) <= IN_PLACE {
            entries.retain(|entry| self.concerns(entry));
            return Ok(entries);
        }
        let interest = self.clone();
        let looking = tokio::task::spawn_blocking(move || {
            entries.retain(|entry| interest.concerns(entry));
            entries
        });
        Ok(looking.await?)
    }

    /// Also what has to be parsed to find out, and what cannot be read at all.
    fn concerns(&self, entry: &v1::Entry) -> bool {
        match (Stream::parse(&entry.stream), verb(&entry.body)) {
            (Some(stream), Some(verb)) => (self.0)(&stream, &verb),
            _ => true,
        }
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interest")
    }
}
