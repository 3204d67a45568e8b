//! The types of ActivityStreams 2.0 (Vocabulary, sections 2 and 3), which need no CID.

/// Core, activity, actor, object and link types, sorted.
const TYPES: [&str; 54] = [
    "Accept",
    "Activity",
    "Add",
    "Announce",
    "Application",
    "Arrive",
    "Article",
    "Audio",
    "Block",
    "Collection",
    "CollectionPage",
    "Create",
    "Delete",
    "Dislike",
    "Document",
    "Event",
    "Flag",
    "Follow",
    "Group",
    "Ignore",
    "Image",
    "IntransitiveActivity",
    "Invite",
    "Join",
    "Leave",
    "Like",
    "Link",
    "Listen",
    "Mention",
    "Move",
    "Note",
    "Object",
    "Offer",
    "OrderedCollection",
    "OrderedCollectionPage",
    "Organization",
    "Page",
    "Person",
    "Place",
    "Profile",
    "Question",
    "Read",
    "Reject",
    "Relationship",
    "Remove",
    "Service",
    "TentativeAccept",
    "TentativeReject",
    "Tombstone",
    "Travel",
    "Undo",
    "Update",
    "Video",
    "View",
];

/// Whether ActivityStreams has a type of that name.
#[must_use]
pub fn is_activitystreams(name: &str) -> bool {
    TYPES.binary_search(&name).is_ok()
}

/// A name of a record or a field: 1 to 64 letters, digits, `_` or `-`, a letter first.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let goes_on = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    begins && text.chars().all(goes_on) && text.len() <= 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(TYPES.is_sorted());
        for name in TYPES {
            assert!(is_activitystreams(name), "{name}");
        }
        assert!(!is_activitystreams("Post") && !is_activitystreams(""));
    }
}
