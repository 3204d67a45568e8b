//! The cluster, Helm, and the two domains as scenarios see them.

mod cluster;
mod endings;
pub(crate) mod helm;
mod release;
pub(crate) mod stage;
mod telling;
mod tunnel;

pub(crate) use cluster::Cluster;
pub(crate) use release::Release;
pub(crate) use stage::Stage;
pub(crate) use tunnel::Tunnel;
