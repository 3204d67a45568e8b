//! What is defined.

use fedsx_proto::v1::{Definition, ListDefinitionsRequest, ListDefinitionsResponse};
use fedsx_runtime::code::Refusal;

use super::LogService;

/// As of now, whichever replica has defined it.
pub(super) async fn list(
    log: &LogService,
    request: ListDefinitionsRequest,
) -> Result<ListDefinitionsResponse, Refusal> {
    log.follow().await?;
    let registry = log.registry.get();
    if request.known_position == Some(registry.position()) {
        return Ok(ListDefinitionsResponse {
            position: registry.position(),
            ..ListDefinitionsResponse::default()
        });
    }
    let definition = |found: crate::registry::InEffect<'_>| Definition {
        kind: found.kind.as_str().to_owned(),
        name: found.name.to_owned(),
        cid: found.cid.to_string(),
        body: found.canonical.to_vec().into(),
        position: found.since,
    };
    Ok(ListDefinitionsResponse {
        definitions: registry.in_effect().into_iter().map(definition).collect(),
        granted: registry.granted().map(str::to_owned).collect(),
        position: registry.position(),
    })
}
