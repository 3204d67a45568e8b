//! From what the log sent to what folds see.

use std::sync::Arc;

use fedsx_kernel::activity::Activity;
use fedsx_proto::v1::{self, GetRequest, get_request::By};
use fedsx_runtime::code::Code;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{IN_PLACE, References, Source, SourceError, size, within};
use crate::entry::{Entry, Item, Parsed};

/// Activities that are looked up at once.
const LOOKUPS: usize = 16;

impl Source {
    /// Parses entries and looks up what they refer to.
    pub(crate) async fn items(
        &self,
        entries: Vec<v1::Entry>,
        references: References,
    ) -> Result<Arc<[Item]>, SourceError> {
        let parse = |entry: v1::Entry| (entry.position, Parsed::parse(entry));
        let parsed: Vec<_> = if size(&entries) <= IN_PLACE {
            entries.into_iter().map(parse).collect()
        } else {
            tokio::task::spawn_blocking(move || entries.into_iter().map(parse).collect()).await?
        };
        if parsed.is_empty() {
            return Ok(Arc::default());
        }
        stream::iter(parsed)
            .map(|(position, parsed)| async move {
                let content = match parsed {
                    Ok(parsed) => Ok(self.resolve(parsed, references).await?),
                    Err(unreadable) => Err(unreadable),
                };
                Ok(Item { position, content })
            })
            .buffered(LOOKUPS)
            .try_collect::<Vec<_>>()
            .await
            .map(Into::into)
    }

    async fn resolve(&self, parsed: Parsed, references: References) -> Result<Entry, SourceError> {
        let wanted = parsed.reference().filter(|_| references == References::LookUp);
        let referred = match wanted {
            Some(id) => self.activity(id, parsed.position()).await?,
            None => None,
        };
        Ok(parsed.resolve(referred.as_ref()))
    }

    /// The activity with this id, where the log has it before a position. What it has after it must not count: the same
    /// entry, folded again later, would then say something else.
    async fn activity(&self, id: &str, before: u64) -> Result<Option<Activity>, SourceError> {
        if id.is_empty() {
            return Ok(None);
        }
        let by = Some(By::ActivityId(id.to_owned()));
        let mut client = self.client.clone();
        match within(client.get(GetRequest { by })).await {
            Ok(found) => {
                let found = found.into_inner();
                // An unreadable one halts the shards at its own position.
                Ok((found.position < before)
                    .then(|| Activity::parse(&found.body).ok())
                    .flatten())
            }
            Err(SourceError::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
