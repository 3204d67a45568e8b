//! The name of a document: CIDv1, base32, sha2-256, codec `json-jcs` (0xb601). The names of blobs have another codec, hence
//! another type ([`crate::blob::BlobCid`]): neither passes for the other.

use std::{fmt, str::FromStr};

use multibase::Base;
use sha2::{Digest, Sha256};

/// What precedes the digest: CID version 1, codec json-jcs (0xb601 as a varint), hash sha2-256 (0x12), 32 bytes.
const PREFIX: [u8; 6] = [0x01, 0x81, 0xec, 0x02, 0x12, 0x20];
/// What is told of a text that is no CID: so many letters as one has.
const TEXT_LEN: usize = text_len(&PREFIX);

/// Length of a CID's text: the multibase letter, and its bytes at five bits a letter.
const fn text_len(prefix: &[u8]) -> usize {
    1 + ((prefix.len() + 32) * 8).div_ceil(5)
}

/// A CID's text. `prefix` is what precedes the digest.
pub(crate) fn text(prefix: &[u8], digest: &[u8]) -> String {
    multibase::encode(Base::Base32Lower, [prefix, digest].concat())
}

/// The digest in a CID with this prefix, in the one spelling that [`text`] writes.
pub(crate) fn digest(prefix: &[u8], spelled: &str) -> Option<[u8; 32]> {
    if spelled.len() != text_len(prefix) {
        return None;
    }
    let (base, bytes) = multibase::decode(spelled).ok()?;
    let digest = bytes.strip_prefix(prefix)?;
    (base == Base::Base32Lower && text(prefix, digest) == spelled).then_some(digest.try_into().ok()?)
}

/// A CIDv1 of a canonical JSON document, `baga6yaqseb…`. Orders and displays as its base32 string.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cid(String);

/// Not a CIDv1 base32 sha2-256 json-jcs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a CIDv1 in base32 of sha2-256 over json-jcs")]
pub struct CidError(pub String);

impl Cid {
    /// The CID of bytes that are canonical already.
    #[must_use]
    pub fn of_canonical(canonical: &[u8]) -> Self {
        Self(text(&PREFIX, &Sha256::digest(canonical)))
    }

    /// The base32 text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of the canonical bytes.
    pub(crate) fn digest(&self) -> [u8; 32] {
        // Every text that was read or written has one.
        digest(&PREFIX, &self.0).unwrap_or_default()
    }
}
impl FromStr for Cid {
    type Err = CidError;
    /// Only the one spelling that this crate writes: two texts never name the same document.
    fn from_str(text: &str) -> Result<Self, CidError> {
        match digest(&PREFIX, text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(CidError(text.chars().take(TEXT_LEN).collect())),
        }
    }
}
impl TryFrom<String> for Cid {
    type Error = CidError;
    fn try_from(text: String) -> Result<Self, CidError> {
        text.parse()
    }
}
impl From<Cid> for String {
    fn from(cid: Cid) -> Self {
        cid.0
    }
}
impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The CID as an independent implementation writes it.
    fn oracle(codec: u64, hash: u64, bytes: &[u8]) -> cid::Cid {
        let digest = multihash::Multihash::wrap(hash, &Sha256::digest(bytes)).unwrap();
        cid::Cid::new_v1(codec, digest)
    }

    #[test]
    fn is_the_cid_that_others_compute() {
        for bytes in [&b"{}"[..], b"[]", b"\"\""] {
            let cid = Cid::of_canonical(bytes);
            assert_eq!(cid.as_str(), oracle(0xb601, 0x12, bytes).to_string());
            assert_eq!(cid.as_str().parse(), Ok(cid.clone()));
            assert_eq!(cid.as_str().len(), TEXT_LEN);
        }
    }

    #[test]
    fn refuses_other_cids_and_other_spellings() {
        let good = Cid::of_canonical(b"{}").to_string();
        let ours = oracle(0xb601, 0x12, b"{}");
        let trailing_bit = format!("{}{}", &good[..good.len() - 1], {
            let last = good.as_bytes()[good.len() - 1];
            char::from(if last == b'a' { b'b' } else { last + 1 })
        });
        let others = [
            String::new(),
            "b".to_owned(),
            good.to_uppercase(),
            format!("{good}a"),
            format!("{good}="),
            format!(" {good}"),
            good[..good.len() - 1].to_owned(),
            trailing_bit,
            oracle(0x0129, 0x12, b"{}").to_string(),
            oracle(0xb601, 0x1e, b"{}").to_string(),
            ours.to_string_of_base(multibase::Base::Base58Btc).unwrap(),
            ours.to_string_of_base(multibase::Base::Base32HexLower).unwrap(),
            "é".repeat(TEXT_LEN),
        ];
        for text in others {
            let parsed = text.parse::<Cid>();
            assert!(parsed.is_err(), "{text:?}");
        }
    }

    #[test]
    fn is_checked_when_deserialised() {
        let cid = Cid::of_canonical(b"{}");
        let json = serde_json::to_string(&cid).unwrap();
        assert_eq!(serde_json::from_str::<Cid>(&json).unwrap(), cid);
        assert!(serde_json::from_str::<Cid>("\"bafy\"").is_err());
    }
}
