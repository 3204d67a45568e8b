//! Bounds of what the log takes, so that no caller can make a row that a reader chokes on.

use fedsx_runtime::code::Refusal;

use crate::refusal::malformed;

/// Bytes of a stream's name, and of an activity's or an actor's id.
pub(crate) const MAX_ID: usize = 2048;
/// Bytes of an idempotency key.
pub(crate) const MAX_DRAFT_KEY: usize = 512;
/// Bytes of the name of a kv space.
pub(crate) const MAX_SPACE: usize = 64;
/// Bytes of a kv key.
pub(crate) const MAX_KEY: usize = 2048;
/// Bytes of a kv value.
pub(crate) const MAX_VALUE: usize = 1 << 20;
/// Changes of kv in one request.
pub(crate) const MAX_CHANGES: usize = 1000;
/// Activities in one append.
pub(crate) const MAX_ENTRIES: usize = 1000;
/// Appends in one call.
pub(crate) const MAX_APPENDS: usize = 1000;
/// Bytes of an entry's meta, as JSON.
pub(crate) const MAX_META: usize = 16 << 10;
/// Entries, positions or items of one page.
pub(crate) const MAX_PAGE: u32 = 1000;
/// Entries or items of a page whose caller does not say.
pub(crate) const DEFAULT_PAGE: u32 = 100;
/// Bytes of bodies or values in one page; with one more of 1 MiB it stays well below the largest message.
pub(crate) const MAX_PAGE_BYTES: u64 = 16 << 20;

/// A text that names something: not empty, not longer than `max` bytes, and without control characters, which a backend
/// may not be able to keep (PostgreSQL's text knows no U+0000).
pub(crate) fn name(field: &str, text: &str, max: usize) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(malformed(format!("`{field}` is empty")));
    }
    if text.len() > max {
        return Err(malformed(format!(
            "`{field}` has {} bytes, at most {max} are taken",
            text.len()
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(malformed(format!("`{field}` holds a control character")));
    }
    Ok(())
}

/// The size of a page.
pub(crate) fn page(limit: u32) -> Result<u32, Refusal> {
    match limit {
        0 => Ok(DEFAULT_PAGE),
        1..=MAX_PAGE => Ok(limit),
        _ => Err(malformed(format!(
            "`limit` is {limit}, at most {MAX_PAGE} is answered"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bounded_and_printable() {
        for (text, sound) in [
            ("a", true),
            ("ä b", true),
            ("", false),
            ("abcdef", false),
            ("a\u{0}", false),
            ("\n", false),
        ] {
            assert_eq!(name("key", text, 5).is_ok(), sound, "{text:?}");
        }
    }

    #[test]
    fn a_page_has_a_size_even_where_nobody_says() {
        assert_eq!(page(0), Ok(DEFAULT_PAGE));
        assert_eq!(page(MAX_PAGE), Ok(MAX_PAGE));
        assert!(page(MAX_PAGE + 1).is_err());
    }
}
