//! The drafts of a batch, by actor: what sealing takes and gives back.

use std::{collections::BTreeMap, sync::Arc};

use fedsx_kernel::{cid::Cid, draft::Draft, key::SigningKey};
use jiff::Timestamp;

use super::{Complete, Content, Plan};
use crate::store::{Facts, StoredKey};

/// The drafts of one actor in the order in which they are published.
#[derive(Debug)]
pub struct Chain {
    /// The actor's id.
    pub actor: String,
    pub signer: Signer,
    /// When the actor's last activity was published.
    pub published: Option<Timestamp>,
    /// The actor's last public activity.
    pub prev: Option<Cid>,
    /// The drafts, each with the request that it came by.
    pub drafts: Vec<(usize, Arc<Draft>)>,
}

/// What a chain is signed with.
#[derive(Debug, Clone)]
pub enum Signer {
    Stored(StoredKey),
    /// Drawn in this batch.
    New(Arc<SigningKey>),
}

/// A draft after it was sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedDraft {
    pub activity: Complete,
    pub published: Timestamp,
}

impl Plan {
    /// The drafts that the plan admits. Chains are independent of each other.
    #[must_use]
    pub fn chains(&self, facts: &Facts) -> Vec<Chain> {
        let mut chains: BTreeMap<&str, Chain> = BTreeMap::new();
        for entry in &self.entries {
            let Content::Draft { actor, draft, signer } = &entry.content else {
                continue;
            };
            let chain = chains.entry(&entry.stream).or_insert_with(|| {
                let stream = facts.streams.get(&entry.stream);
                Chain {
                    actor: actor.clone(),
                    signer: signer.clone(),
                    published: stream.and_then(|row| row.published),
                    prev: stream.and_then(|row| row.public_cid.clone()),
                    drafts: Vec::new(),
                }
            });
            chain.drafts.push((entry.request, Arc::clone(draft)));
        }
        chains.into_values().collect()
    }
}
