//! A domain as those see it who run it, however many processes it is made of: what its services say of its state, and
//! client commands.

mod access;
mod command;
mod entry;
mod publisher;
mod settle;
mod state;

use std::path::Path;

use fedsx_kernel::origin::Origin;

pub(crate) use access::{Connection, Services, connection};
pub(crate) use command::clean;
pub use command::{Output, Published, fedsx};
pub use entry::Entry;
pub use publisher::Publisher;
pub use settle::settle;
pub(crate) use settle::settle_within;
pub use state::Delivery;

use crate::answer::Answer;
use access::Access;

/// A domain's state and commands. A [`crate::Node`] and a [`crate::Deployment`] each have one and deref to it.
#[derive(Debug)]
pub struct Domain {
    origin: Origin,
    access: Access,
}

impl Domain {
    /// One whose process leaves `connect.json` in this folder.
    pub(crate) fn in_folder(origin: &str, data: &Path) -> Self {
        Self {
            origin: parse(origin),
            access: Access::Folder(data.to_owned()),
        }
    }

    /// One whose services are apart.
    pub(crate) fn apart(origin: &str, services: Services) -> Self {
        Self {
            origin: parse(origin),
            access: Access::Apart(Box::new(services)),
        }
    }

    /// One whose log, projection and delivery answer at these URLs, whoever runs them, with the operator's token.
    pub fn reached(origin: &str, [log, projection, delivery]: [String; 3], token: String) -> Self {
        let urls = [vec![log], vec![projection], vec![delivery]];
        Self::apart(origin, Services::new(urls, token, None))
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The id of the domain's own actor.
    pub fn base(&self) -> String {
        self.origin.base()
    }

    /// The id of a local actor.
    pub fn actor(&self, name: &str) -> String {
        self.origin.actor(name)
    }

    /// A public URL: `/inbox`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// GETs a path as peers do.
    pub async fn get(&self, path: &str) -> Answer {
        crate::get(&self.url(path)).await
    }
}

fn parse(origin: &str) -> Origin {
    origin.parse().expect("an origin")
}
