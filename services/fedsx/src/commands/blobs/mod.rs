//! `fedsx blobs`: the files that objects name.

mod get;
mod put;
mod upload;

use clap::Subcommand;

pub(crate) use upload::{Attach, attach};

#[derive(Debug, Subcommand)]
pub(crate) enum Blobs {
    /// Put files, and print how an object names them in its `attachment`
    Put(put::Put),
    /// Get a blob, checked against its name
    Get(get::Get),
}

pub(crate) async fn run(blobs: Blobs) -> anyhow::Result<()> {
    match blobs {
        Blobs::Put(put) => put.run().await,
        Blobs::Get(get) => get.run().await,
    }
}
