//! Blobs: bytes that an object names by their CID and that no log holds, and how it names them.

mod media_type;

use std::{fmt, str::FromStr};

use multibase::Base;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub use media_type::MediaType;

use crate::{
    cid::{self, Cid},
    origin::Origin,
};

/// What precedes the digest: CID version 1, codec raw (0x55), hash sha2-256 (0x12), 32 bytes.
const PREFIX: [u8; 4] = [0x01, 0x55, 0x12, 0x20];
/// Where the multihash begins in it: hash, length, digest.
const MULTIHASH: usize = 2;

/// The terms of an attachment that ActivityStreams does not have, for the `@context` of who reads JSON-LD (FEP-1311).
#[must_use]
pub fn terms() -> Value {
    json!({
        "digestMultibase": {
            "@id": "https://w3id.org/security#digestMultibase",
            "@type": "https://w3id.org/security#multibase",
        },
        "size": "https://joinpeertube.org/ns#size",
    })
}

/// A CIDv1 of any bytes, `bafkrei…`: base32, sha2-256, codec `raw` (0x55). Orders and displays as its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobCid(String);

/// Not a CIDv1 base32 sha2-256 raw.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a CIDv1 in base32 of sha2-256 over raw bytes, bafkrei…")]
pub struct BlobCidError(pub String);

/// Computes a blob's CID while its bytes pass.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The CID of all that was taken.
    #[must_use]
    pub fn finish(self) -> BlobCid {
        BlobCid(cid::text(&PREFIX, &self.0.finalize()))
    }
}

impl BlobCid {
    /// Where a domain serves it: `https://blog.example/blobs/<cid>`
    #[must_use]
    pub fn url(&self, origin: &Origin) -> String {
        format!("{origin}/blobs/{self}")
    }

    /// The CID of bytes that are there altogether.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// What the canonical bytes of this document are called as a blob.
    #[must_use]
    pub fn of_document(cid: &Cid) -> Self {
        Self(cid::text(&PREFIX, &cid.digest()))
    }

    /// The base32 text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest as `digestMultibase` has it, `zQm…`: a multihash in base58btc (Verifiable Credential Data Integrity 1.0,
    /// section 2.6).
    #[must_use]
    pub fn digest_multibase(&self) -> String {
        let digest = cid::digest(&PREFIX, &self.0).unwrap_or_default();
        let (_, multihash) = PREFIX.split_at(MULTIHASH);
        multibase::encode(Base::Base58Btc, [multihash, &digest].concat())
    }
}

/// How an object names a blob in its `attachment` (FEP-1311). `name` is what is told to who cannot see or hear it.
#[must_use]
pub fn attachment(origin: &Origin, cid: &BlobCid, media_type: &MediaType, size: u64, name: &str) -> Value {
    let mut attachment = Map::new();
    let mut set = |key: &str, value: Value| attachment.insert(key.to_owned(), value);
    set("type", media_type.object_type().into());
    set("mediaType", media_type.as_str().into());
    set("url", cid.url(origin).into());
    set("digestMultibase", cid.digest_multibase().into());
    set("size", json!(size));
    if !name.is_empty() {
        set("name", name.into());
    }
    Value::Object(attachment)
}

impl FromStr for BlobCid {
    type Err = BlobCidError;
    /// Only the one spelling that this crate writes: two texts never name the same blob.
    fn from_str(text: &str) -> Result<Self, BlobCidError> {
        match cid::digest(&PREFIX, text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(BlobCidError(text.chars().take(64).collect())),
        }
    }
}
impl TryFrom<String> for BlobCid {
    type Error = BlobCidError;
    fn try_from(text: String) -> Result<Self, BlobCidError> {
        text.parse()
    }
}
impl From<BlobCid> for String {
    fn from(cid: BlobCid) -> Self {
        cid.0
    }
}
impl fmt::Display for BlobCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for BlobCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid::Cid;

    #[test]
    fn a_documents_bytes_are_a_blob_of_the_same_digest() {
        let document = Cid::of_canonical(b"{}");
        assert_eq!(BlobCid::of_document(&document), BlobCid::of(b"{}"));
    }

    #[test]
    fn is_the_cid_that_others_compute() {
        for bytes in [&b""[..], b"{}", b"\0"] {
            let digest = multihash::Multihash::wrap(0x12, &Sha256::digest(bytes)).unwrap();
            let cid = BlobCid::of(bytes);
            assert_eq!(cid.as_str(), ::cid::Cid::new_v1(0x55, digest).to_string());
            assert_eq!(cid.as_str().parse(), Ok(cid.clone()));
            let (base, multihash) = multibase::decode(cid.digest_multibase()).unwrap();
            assert_eq!((base, multihash), (Base::Base58Btc, digest.to_bytes()));
            assert!(cid.digest_multibase().starts_with("zQm"));
        }
        // As `ipfs block put --format=raw` names no bytes at all.
        let empty = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        assert_eq!(BlobCid::of(b"").as_str(), empty);
    }

    #[test]
    fn a_document_is_no_blob_and_a_blob_no_document() {
        let (document, blob) = (Cid::of_canonical(b"{}"), BlobCid::of(b"{}"));
        assert!(document.as_str().parse::<BlobCid>().is_err());
        assert!(blob.as_str().parse::<Cid>().is_err());
        for text in [
            blob.as_str().to_uppercase(),
            format!("{blob}a"),
            String::new(),
            "é".repeat(30),
        ] {
            assert!(text.parse::<BlobCid>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn bytes_have_one_name_however_they_come() {
        let mut hasher = Hasher::default();
        for part in [&b"do"[..], b"", b"ors at eight"] {
            hasher.update(part);
        }
        assert_eq!(hasher.finish(), BlobCid::of(b"doors at eight"));
    }

    #[test]
    fn an_attachment_is_as_fep_1311_has_it() {
        let origin: Origin = "https://blog.example".parse().unwrap();
        let (cid, jpeg) = (BlobCid::of(b"cow"), "image/jpeg".parse().unwrap());
        let expected = json!({
            "type": "Image", "mediaType": "image/jpeg", "url": format!("https://blog.example/blobs/{cid}"),
            "digestMultibase": cid.digest_multibase(), "size": 3, "name": "A cow",
        });
        assert_eq!(attachment(&origin, &cid, &jpeg, 3, "A cow"), expected);
        assert_eq!(attachment(&origin, &cid, &jpeg, 3, "").get("name"), None);
    }
}
