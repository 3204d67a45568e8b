//! `followers`: who follows our actors, or has asked to. Key: `<local actor> <follower>`.

use fedsx_kernel::origin::Origin;

use super::relation::{Party, Relations};

pub(crate) const NAME: &str = "followers";

pub(super) fn view(origin: Origin) -> Relations {
    Relations {
        origin,
        local: Party::Followed,
        first: Party::Followed,
    }
}

/// The key of a follower.
pub(crate) fn key(followed: &str, follower: &str) -> String {
    format!("{followed} {follower}")
}
