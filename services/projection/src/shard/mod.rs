//! Shards: the fixed parts into which the rows of a view fall, each folded by whoever holds its lease.

use std::fmt;

use fedsx_kernel::cid::Cid;
use sha2::{Digest as _, Sha256};

pub mod lease;

pub(crate) mod apply;
pub(crate) mod fold;
pub(crate) mod worker;

/// Shards of a view. A row's shard follows from it, so it never changes for a view that has rows.
pub const SHARDS: u32 = 8;

/// A shard of a view, or the one shard of a reaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId {
    pub view: String,
    pub shard: u32,
}

impl ShardId {
    #[must_use]
    pub fn new(view: &str, shard: u32) -> Self {
        Self {
            view: view.to_owned(),
            shard,
        }
    }

    /// The shard that a key of a view falls into: the first four bytes of its SHA-256, so that every process and every
    /// version divides alike.
    #[must_use]
    pub fn of(view: &str, key: &str) -> Self {
        Self::new(view, shard_of(key))
    }

    /// Every shard of a view.
    pub fn all(view: &str) -> impl Iterator<Item = Self> {
        (0..SHARDS).map(move |shard| Self::new(view, shard))
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.view, self.shard)
    }
}

pub(crate) fn shard_of(key: &str) -> u32 {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    u32::from_be_bytes([a, b, c, d]) % SHARDS
}

/// What a shard has applied, told in one value: a SHA-256 chained over the positions and CIDs of the entries that it
/// applied, in log order. Two shards that applied the same entries, and no others, agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest after one more entry.
    #[must_use]
    pub fn with(self, position: u64, cid: &Cid) -> Self {
        let chained = Sha256::new()
            .chain_update(self.0)
            .chain_update(position.to_be_bytes())
            .chain_update(cid.as_str());
        Self(chained.finalize().into())
    }

    /// The digest that is shown so; none where it is not 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// In hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_falls_into_the_same_shard_for_ever() {
        // The first bytes that `sha256sum` prints.
        assert_eq!(
            ShardId::of("actors", "hello world"),
            ShardId::new("actors", 0xb94d_27b9 % 8)
        );
        assert_eq!(shard_of(""), 0xe3b0_c442 % 8);
    }

    #[test]
    fn a_digest_is_read_as_it_is_shown() {
        let digest = Digest::default().with(1, &Cid::of_canonical(b"1"));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        for text in ["", "ab", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_digest_tells_order_and_position() {
        let (one, two) = (Cid::of_canonical(b"1"), Cid::of_canonical(b"2"));
        let digest = Digest::default().with(1, &one).with(2, &two);
        assert_ne!(digest, Digest::default().with(1, &two).with(2, &one));
        assert_ne!(digest, Digest::default().with(1, &one).with(3, &two));
        assert_eq!(digest, Digest::default().with(1, &one).with(2, &two));
    }
}
