//! What is known about an entry beside the activity.

use fedsx_proto::v1::Meta;
use fedsx_runtime::code::Refusal;

use crate::{limits::MAX_META, refusal::malformed};

/// The caller's meta with the trace that the append belongs to.
pub(super) fn complete(meta: Option<Meta>, traceparent: &str) -> Result<Meta, Refusal> {
    let mut meta = meta.unwrap_or_default();
    if !traceparent.is_empty() {
        traceparent.clone_into(&mut meta.traceparent);
    }
    let size = serde_json::to_vec(&meta)
        .map_err(|error| malformed(format!("`meta` {error}")))?
        .len();
    if size > MAX_META {
        return Err(malformed(format!(
            "`meta` has {size} bytes as JSON, at most {MAX_META} are taken"
        )));
    }
    Ok(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_appends_own_trace_takes_the_place_of_the_callers() {
        let given = Meta {
            traceparent: "caller".to_owned(),
            key_id: "k".to_owned(),
            ..Meta::default()
        };
        let meta = complete(Some(given.clone()), "append").unwrap();
        assert_eq!((meta.traceparent.as_str(), meta.key_id.as_str()), ("append", "k"));
        assert_eq!(complete(Some(given), "").unwrap().traceparent, "caller");
    }

    #[test]
    fn a_meta_is_bounded() {
        let meta = Meta {
            remarks: vec!["x".repeat(MAX_META)],
            ..Meta::default()
        };
        assert_eq!(
            complete(Some(meta), "").unwrap_err().code,
            fedsx_runtime::code::Code::Malformed
        );
    }
}
