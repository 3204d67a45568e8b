//! Whom our actors follow, or have asked to. `following` by `<local actor> <followed>`, and `following_by` by
//! `<followed> <local actor>`, since the gateway has to know whether anybody here follows a sender.

use fedsx_kernel::origin::Origin;

use super::relation::{Party, Relations};

pub(super) fn view(origin: Origin) -> Relations {
    Relations {
        origin,
        local: Party::Follower,
        first: Party::Follower,
    }
}

pub(super) fn by_followed(origin: Origin) -> Relations {
    Relations {
        origin,
        local: Party::Follower,
        first: Party::Followed,
    }
}
