//! An operator's decision that shards of a view go on without an entry that they cannot fold.
//!
//! It is an entry in the stream `domain`, so that a rebuild passes over the same entry, and so that anybody sees what was
//! passed over, and why.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;

use crate::{
    activity::{Activity, ActivityError},
    follow::decision,
    origin::Origin,
};

const VERB: &str = "Skip";

/// Which shards go on without which entry, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    pub view: String,
    pub shards: BTreeSet<u32>,
    /// The entry's.
    pub position: u64,
    pub reason: String,
}

impl Skip {
    /// The activity that says so, of the domain's base.
    ///
    /// # Errors
    /// [`ActivityError`]
    pub fn activity(&self, domain: &Origin, published: Timestamp) -> Result<Activity, ActivityError> {
        let said = json!({
            "type": VERB,
            "view": self.view,
            "shards": self.shards,
            "position": self.position,
            "summary": self.reason,
            "published": published.to_string(),
        });
        decision::sealed(domain, said)
    }

    /// What an entry of the stream `domain` decides; none where it decides something else.
    #[must_use]
    pub fn of(activity: &Activity) -> Option<Self> {
        let document = activity.document();
        let text = |key: &str| document.get(key)?.as_str().map(str::to_owned);
        let shard = |shard: &serde_json::Value| u32::try_from(shard.as_u64()?).ok();
        if activity.verb() != VERB {
            return None;
        }
        Some(Self {
            view: text("view")?,
            shards: document
                .get("shards")?
                .as_array()?
                .iter()
                .map(shard)
                .collect::<Option<_>>()?,
            position: document.get("position")?.as_u64()?,
            reason: text("summary").unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_is_read_back() {
        let domain: Origin = "https://home.example".parse().unwrap();
        let skip = Skip {
            view: "followers".to_owned(),
            shards: [1, 7].into(),
            position: 12,
            reason: "damaged by a faulty disk".to_owned(),
        };
        let activity = skip.activity(&domain, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(Skip::of(&activity), Some(skip));
        assert_eq!(activity.actor(), "https://home.example/");
        let block = crate::follow::block(&domain, &domain, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(Skip::of(&block), None);
    }
}
