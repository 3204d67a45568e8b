//! How others find actors ([`webfinger`]) and learn what runs here ([`nodeinfo`]).

pub(crate) mod nodeinfo;
pub(crate) mod webfinger;
