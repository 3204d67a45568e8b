//! The words of ActivityStreams 2.0: its types (Vocabulary, sections 2 and 3), which need no CID, and its terms.

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

/// What the normative `@context` of ActivityStreams has beside the types, sorted.
const OTHER_TERMS: [&str; 94] = [
    "IsContact",
    "IsFollowedBy",
    "IsFollowing",
    "IsMember",
    "Public",
    "accuracy",
    "actor",
    "alsoKnownAs",
    "altitude",
    "anyOf",
    "as",
    "attachment",
    "attributedTo",
    "audience",
    "bcc",
    "bto",
    "cc",
    "closed",
    "content",
    "contentMap",
    "context",
    "current",
    "deleted",
    "describes",
    "duration",
    "endTime",
    "endpoints",
    "first",
    "followers",
    "following",
    "formerType",
    "generator",
    "height",
    "href",
    "hreflang",
    "icon",
    "id",
    "image",
    "inReplyTo",
    "inbox",
    "instrument",
    "items",
    "last",
    "latitude",
    "ldp",
    "liked",
    "likes",
    "location",
    "longitude",
    "mediaType",
    "name",
    "nameMap",
    "next",
    "oauthAuthorizationEndpoint",
    "oauthTokenEndpoint",
    "object",
    "oneOf",
    "orderedItems",
    "origin",
    "outbox",
    "partOf",
    "preferredUsername",
    "prev",
    "preview",
    "provideClientKey",
    "proxyUrl",
    "published",
    "radius",
    "rel",
    "relationship",
    "replies",
    "result",
    "sharedInbox",
    "shares",
    "signClientKey",
    "source",
    "startIndex",
    "startTime",
    "streams",
    "subject",
    "summary",
    "summaryMap",
    "tag",
    "target",
    "to",
    "totalItems",
    "type",
    "units",
    "updated",
    "uploadMedia",
    "url",
    "vcard",
    "width",
    "xsd",
];

/// Whether ActivityStreams has a type of that name.
#[must_use]
pub fn is_activitystreams(name: &str) -> bool {
    TYPES.binary_search(&name).is_ok()
}

/// Whether the `@context` of ActivityStreams has a term of that name.
#[must_use]
pub(super) fn is_term(name: &str) -> bool {
    is_activitystreams(name) || OTHER_TERMS.binary_search(&name).is_ok()
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
    fn the_lists_can_be_searched() {
        assert!(TYPES.is_sorted() && OTHER_TERMS.is_sorted());
        assert!(is_term("tag") && is_term("Note") && !is_term("Hashtag"));
        for name in TYPES {
            assert!(is_activitystreams(name), "{name}");
        }
        assert!(!is_activitystreams("Post") && !is_activitystreams(""));
    }
}
