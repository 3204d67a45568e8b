//! Client commands: each talks to a running domain over its internal services, as an operator.

pub(crate) mod actor;
pub(crate) mod allocate;
pub(crate) mod blobs;
pub(crate) mod connect;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod entries;
pub(crate) mod flows;
pub(crate) mod follow;
pub(crate) mod followers;
pub(crate) mod genesis;
pub(crate) mod occurrences;
mod output;
pub(crate) mod peers;
pub(crate) mod publish;
pub(crate) mod relations;
mod resolve;
pub(crate) mod self_test;
pub(crate) mod snapshots;
pub(crate) mod toolbox;
pub(crate) mod trace;
pub(crate) mod types;
pub(crate) mod verify;
pub(crate) mod views;
