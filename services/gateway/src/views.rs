//! The projection's views, as the gateway uses them.

use fedsx_proto::v1::{GetRowRequest, ListRowsRequest, ListViewsRequest};
use fedsx_runtime::code::{Code, Refusal};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    ProjectionClient,
    log::{Log, absent},
    upstream::ask,
};

const SERVICE: &str = "projection";

/// Views by name.
pub(crate) const ACTORS: &str = "actors";
pub(crate) const FOLLOWERS: &str = "followers";
pub(crate) const FOLLOWING: &str = "following";
/// `following` by the one who is followed.
pub(crate) const FOLLOWING_BY: &str = "following_by";
pub(crate) const OBJECTS: &str = "objects";
pub(crate) const BLOCKS: &str = "blocks";
/// By the blob's URL here and the id of an object that has named it.
pub(crate) const BLOBS: &str = "blobs";

/// Rows read at once where all of a prefix are wanted.
pub(crate) const PAGE: u32 = 1000;

/// A row of `actors`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ActorRow {
    pub(crate) document: Value,
    pub(crate) kind: String,
}

/// A row of `followers`, `following` or `following_by`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Relation {
    pub(crate) state: RelationState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RelationState {
    Requested,
    Accepted,
    Rejected,
    #[serde(other)]
    Other,
}

/// A row of `objects`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ObjectRow {
    pub(crate) object: Value,
    /// The activity that the object came by.
    pub(crate) activity: String,
    #[serde(default)]
    pub(crate) public: bool,
    #[serde(default)]
    pub(crate) deleted: bool,
}

/// A row of `blobs`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BlobRow {
    /// The id of an object that has named the blob.
    pub(crate) object: String,
}

/// Some rows of a view, by key.
#[derive(Debug, Clone)]
pub(crate) struct Rows<T> {
    pub(crate) rows: Vec<(String, T)>,
    /// Rows of the prefix, where they were counted.
    pub(crate) total: u64,
}

/// A client of the views. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Views {
    client: ProjectionClient,
    log: Log,
}

impl Views {
    pub(crate) fn new(client: ProjectionClient, log: Log) -> Self {
        Self { client, log }
    }

    /// A row as the view has it now.
    pub(crate) async fn row<T: DeserializeOwned>(&self, view: &str, key: &str) -> Result<Option<T>, Refusal> {
        self.row_at(view, key, 0).await
    }

    /// A row; that there is none is believed only of a view that has reached the log's head.
    pub(crate) async fn settled_row<T: DeserializeOwned>(
        &self,
        view: &str,
        key: &str,
    ) -> Result<Option<T>, Refusal> {
        match self.row(view, key).await? {
            Some(row) => Ok(Some(row)),
            None => self.row_at(view, key, self.log.head().await?).await,
        }
    }

    /// A row of a view that has applied this position.
    pub(crate) async fn row_at<T: DeserializeOwned>(
        &self,
        view: &str,
        key: &str,
        at_least: u64,
    ) -> Result<Option<T>, Refusal> {
        let request = GetRowRequest {
            view: view.to_owned(),
            key: key.to_owned(),
            at_least,
        };
        let answer = absent(ask(SERVICE, self.client.clone().get_row(request)).await)?;
        match answer.and_then(|answer| answer.row) {
            Some(row) => decode(view, &row.key, &row.value).map(Some),
            None => Ok(None),
        }
    }

    /// Rows of a prefix.
    pub(crate) async fn rows<T: DeserializeOwned>(
        &self,
        request: ListRowsRequest,
    ) -> Result<Rows<T>, Refusal> {
        let view = request.view.clone();
        let answer = ask(SERVICE, self.client.clone().list_rows(request)).await?;
        let rows = answer.rows.into_iter().map(|row| {
            let value = decode(&view, &row.key, &row.value)?;
            Ok((row.key, value))
        });
        Ok(Rows {
            rows: rows.collect::<Result<_, Refusal>>()?,
            total: answer.total,
        })
    }

    /// Whether any of our actors follows, or has asked to follow, an actor whose id starts so. A final space makes it
    /// one actor's id.
    pub(crate) async fn follows(&self, prefix: &str, at_least: u64) -> Result<bool, Refusal> {
        let counts = [RelationState::Requested, RelationState::Accepted];
        let mut after = String::new();
        loop {
            let request = ListRowsRequest {
                view: FOLLOWING_BY.to_owned(),
                prefix: prefix.to_owned(),
                after,
                limit: 100,
                at_least,
                count: false,
            };
            let page = self.rows::<Relation>(request).await?.rows;
            if page.iter().any(|(_, relation)| counts.contains(&relation.state)) {
                return Ok(true);
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = key,
                None => return Ok(false),
            }
        }
    }

    /// Whether the service answers.
    pub(crate) async fn reachable(&self) -> Result<(), Refusal> {
        ask(SERVICE, self.client.clone().list_views(ListViewsRequest {}))
            .await
            .map(drop)
    }
}

fn decode<T: DeserializeOwned>(view: &str, key: &str, value: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(value).map_err(|error| {
        tracing::error!(view, key, %error, "a view's row cannot be read");
        Refusal::new(Code::Internal, format!("a row of the view {view} cannot be read"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_a_later_version_is_neither_requested_nor_accepted() {
        let relation: Relation = decode(FOLLOWERS, "a b", br#"{"state":"paused","inbox":null}"#).unwrap();
        assert_eq!(relation.state, RelationState::Other);
    }

    #[test]
    fn a_corrupt_row_names_its_view() {
        let refusal = decode::<ActorRow>(ACTORS, "k", b"{").unwrap_err();
        assert_eq!(
            (refusal.code, refusal.detail.contains("actors")),
            (Code::Internal, true)
        );
    }
}
