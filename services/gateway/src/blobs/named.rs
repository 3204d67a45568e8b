//! Which public object names a blob, and what it says of it.

use fedsx_kernel::blob::{BlobCid, MediaType};
use fedsx_proto::v1::ListRowsRequest;
use fedsx_runtime::code::Refusal;
use serde_json::Value;

use crate::{
    App,
    views::{BLOBS, BlobRow, OBJECTS, ObjectRow},
};

/// Objects that have named one blob, of which so many are looked at: of a blob that more have named and the first of them do
/// no longer, nothing is shown.
const MAX_OBJECTS: u32 = 100;

/// What the first public object that names a blob says that it is; none where no public object names it. That there is none is
/// believed only of views that have reached the log's head.
pub(super) async fn media_type(app: &App, cid: &BlobCid) -> Result<Option<MediaType>, Refusal> {
    let url = cid.url(&app.settings.origin);
    match said(app, &url, 0).await? {
        Some(media_type) => Ok(Some(media_type)),
        None => said(app, &url, app.log.head().await?).await,
    }
}

/// The same, of views that have applied this position.
async fn said(app: &App, url: &str, at_least: u64) -> Result<Option<MediaType>, Refusal> {
    let request = ListRowsRequest {
        view: BLOBS.to_owned(),
        prefix: format!("{url} "),
        limit: MAX_OBJECTS,
        at_least,
        ..ListRowsRequest::default()
    };
    let named = crate::log::absent(app.views.rows::<BlobRow>(request).await)?;
    for (_, row) in named.into_iter().flat_map(|named| named.rows) {
        let object = app
            .views
            .row_at::<ObjectRow>(OBJECTS, &row.object, at_least)
            .await?;
        if let Some(media_type) = object.and_then(|row| attached(&row, url)) {
            return Ok(Some(media_type));
        }
    }
    Ok(None)
}

/// What a public object says of what it has at this URL.
fn attached(row: &ObjectRow, url: &str) -> Option<MediaType> {
    if row.deleted || !row.public {
        return None;
    }
    let attachments = row.object.get("attachment")?.as_array()?;
    let is_it = |attachment: &&Value| attachment.get("url").and_then(Value::as_str) == Some(url);
    let said = attachments.iter().find(is_it)?.get("mediaType");
    let media_type = said.and_then(Value::as_str).and_then(|said| said.parse().ok());
    Some(media_type.unwrap_or_else(MediaType::unknown))
}
