//! Genesis: bundles as data. A folder of YAML becomes records with CIDs, and these become activities of the domain's base.
//!
//! ```text
//! source   the files of a bundle, with their lines    compile, resolve  records, complete, each after those it names
//! names    what records name that nobody declares
//! lock     every record's CID, beside the bundle      plan              what a domain lacks of a bundle
//! apply    publishes that, once                       seeds             the objects of the first day
//! ```
//!
//! Enter by [`Bundle::open`]. Another kind of record is a folder in `source`, an arm in `record` and `compile`, and a schema in
//! `genesis/schema/`.

mod apply;
mod compile;
mod lock;
mod manifest;
mod names;
mod object;
mod plan;
mod problem;
mod record;
mod resolve;
mod seeds;
mod source;

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use apply::{Done, Manner, apply, create_base};
pub(crate) use compile::{Bundle, Record};
pub(crate) use lock::{Stale, text as lock_text};
pub(crate) use manifest::{Actor, Manifest};
pub(crate) use names::{Named, Undeclared};
pub(crate) use object::Object;
pub(crate) use plan::{Known, Step, beyond, steps};
pub(crate) use seeds::{Seeded, seeded};
pub(crate) use source::{LOCK, in_folder};
