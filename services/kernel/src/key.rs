//! Ed25519 keys and their Multikey form (FEP-521a).

mod small_order;

use ed25519_dalek::{
    Signature, Verifier as _,
    hazmat::{ExpandedSecretKey, raw_sign},
};
use multibase::Base;
use sha2::Sha512;
use zeroize::{Zeroize as _, Zeroizing};

/// Multicodec ed25519-pub, 0xed as a varint.
const PUBLIC: [u8; 2] = [0xed, 0x01];
/// Multicodec ed25519-priv, 0x1300 as a varint.
const PRIVATE: [u8; 2] = [0x80, 0x26];
/// Longest text of an Ed25519 key: 34 bytes in base58btc have at most 47 letters. Longer ones are not decoded, since
/// decoding base58 takes quadratic time.
const MAX_TEXT: usize = 48;

/// A private key, expanded once. Wiped from memory when dropped; never shown by `Debug`.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    expanded: ExpandedSecretKey,
}

/// A public key, decompressed once; never of small order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

/// Not a key this domain can verify with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("not a Multikey: {0}")]
    Multikey(String),
    #[error("a Multikey of another kind than Ed25519")]
    Unsupported,
}

impl SigningKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            key: ed25519_dalek::SigningKey::from_bytes(seed),
            expanded: ExpandedSecretKey::from(seed),
        }
    }
    /// The 32 bytes to keep sealed.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }
    /// From the multibase form of the published vectors (`z3u2…`).
    ///
    /// # Errors
    /// [`KeyError`] where it is no Ed25519 private key.
    pub fn from_multibase(text: &str) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        decode(text, PRIVATE, &mut seed)?;
        Ok(Self::from_seed(&seed))
    }
    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.key.verifying_key())
    }
    /// The 64-byte signature (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        raw_sign::<Sha512>(&self.expanded, message, self.key.as_ref()).to_bytes()
    }
}
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}
impl VerifyingKey {
    /// From a Multikey's `publicKeyMultibase`, `z6Mk…`.
    ///
    /// # Errors
    /// [`KeyError`] where it is none, or of another kind.
    pub fn from_multibase(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        decode(text, PUBLIC, &mut bytes)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes)
            .map_err(|_| KeyError::Multikey("no point of the curve".to_owned()))?;
        if key.is_weak() {
            return Err(KeyError::Multikey("a point of small order".to_owned()));
        }
        Ok(Self(key))
    }
    /// `z6Mk…`
    #[must_use]
    pub fn to_multibase(&self) -> String {
        let mut bytes = PUBLIC.to_vec();
        bytes.extend_from_slice(self.0.as_bytes());
        multibase::encode(Base::Base58Btc, bytes)
    }
    /// Whether the signature is this key's over the message; strict (no key and no `R` of small order, canonical
    /// encodings).
    ///
    /// Answers what `verify_strict` does, a sixth sooner: that decompresses `R` to look at its order, though only the
    /// canonical encoding of the expected `R` passes the comparison.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| {
            !small_order::is_encoded(signature.r_bytes()) && self.0.verify(message, &signature).is_ok()
        })
    }
}

/// Decodes base58btc text of a two-byte codec and 32 bytes.
fn decode(text: &str, codec: [u8; 2], into: &mut [u8; 32]) -> Result<(), KeyError> {
    if !text.starts_with('z') {
        return Err(KeyError::Multikey("not in base58btc".to_owned()));
    }
    if text.len() > MAX_TEXT {
        return Err(KeyError::Unsupported);
    }
    let (_, mut bytes) = multibase::decode(text).map_err(|error| KeyError::Multikey(error.to_string()))?;
    let outcome = match bytes.strip_prefix(&codec) {
        Some(key) if key.len() == into.len() => {
            into.copy_from_slice(key);
            Ok(())
        }
        Some(key) => Err(KeyError::Multikey(format!(
            "{} bytes of key instead of 32",
            key.len()
        ))),
        None => Err(KeyError::Unsupported),
    };
    bytes.zeroize();
    outcome
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION};
    use ed25519_dalek::Signer as _;
    use proptest::prelude::*;
    use sha2::Digest as _;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[7; 32])
    }

    fn multikey(codec: [u8; 2], key: &[u8]) -> String {
        multibase::encode(Base::Base58Btc, [&codec, key].concat())
    }

    #[test]
    fn signs_what_only_its_public_half_verifies() {
        let signature = key().sign(b"message");
        let public = key().verifying_key();
        assert!(public.verify(b"message", &signature));
        assert!(!public.verify(b"Message", &signature));
        assert!(!public.verify(b"message", &signature[..63]));
        assert!(
            !SigningKey::from_seed(&[8; 32])
                .verifying_key()
                .verify(b"message", &signature)
        );
    }

    #[test]
    fn refuses_a_signature_with_the_order_added_to_it() {
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut signature = key().sign(b"message");
        let mut carry = 0;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert!(!key().verifying_key().verify(b"message", &signature));
    }

    #[test]
    fn refuses_keys_of_small_order_under_which_anything_verifies() {
        let identity = {
            let mut point = [0; 32];
            point[0] = 1;
            point
        };
        for point in [identity, [0; 32]] {
            assert!(matches!(
                VerifyingKey::from_multibase(&multikey(PUBLIC, &point)),
                Err(KeyError::Multikey(_))
            ));
        }
    }

    /// Signs with a secret key and any `R` whose logarithm is zero but for a point of small order.
    fn signed_with(r: EdwardsPoint, message: &[u8]) -> [u8; 64] {
        let expanded = ExpandedSecretKey::from(&[7; 32]);
        let (r, a) = (r.compress().to_bytes(), *key().key.verifying_key().as_bytes());
        let k = Scalar::from_bytes_mod_order_wide(&Sha512::digest([&r, &a, message].concat()).into());
        Signature::from_components(r, (k * expanded.scalar).to_bytes()).to_bytes()
    }

    #[test]
    fn refuses_an_r_of_small_order_with_which_the_equation_holds() {
        let (message, public) = (b"message", key().verifying_key());
        let identity = signed_with(EIGHT_TORSION[0], message);
        assert!(
            public
                .0
                .verify(message, &Signature::from_bytes(&identity))
                .is_ok()
        );
        assert!(!public.verify(message, &identity));
        for point in EIGHT_TORSION {
            assert!(!public.verify(message, &signed_with(point, message)));
        }
    }

    proptest! {
        #[test]
        fn answers_what_strict_verification_answers(
            message: [u8; 8],
            change in prop::option::of((0..64_usize, any::<u8>())),
        ) {
            let mut signature = key().sign(&message);
            if let Some((at, byte)) = change {
                signature[at] = byte;
            }
            let public = key().verifying_key();
            let strict = public.0.verify_strict(&message, &Signature::from_bytes(&signature));
            prop_assert_eq!(public.verify(&message, &signature), strict.is_ok());
        }

        #[test]
        fn signs_what_the_published_algorithm_signs(seed: [u8; 32], message in prop::collection::vec(any::<u8>(), 0..99)) {
            let expected = ed25519_dalek::SigningKey::from_bytes(&seed).sign(&message);
            prop_assert_eq!(SigningKey::from_seed(&seed).sign(&message), expected.to_bytes());
        }
    }

    #[test]
    fn multikeys_round_trip() {
        let public = key().verifying_key();
        let text = public.to_multibase();
        assert!(text.starts_with("z6Mk") && text.len() <= MAX_TEXT);
        assert_eq!(VerifyingKey::from_multibase(&text), Ok(public));
        let private = multikey(PRIVATE, &key().seed()[..]);
        assert!(private.starts_with("z3u2"));
        assert_eq!(SigningKey::from_multibase(&private).unwrap().seed(), key().seed());
    }

    #[test]
    fn refuses_other_keys_and_what_is_none() {
        let public = key().verifying_key().to_multibase();
        let kind = |text: &str| VerifyingKey::from_multibase(text).unwrap_err();
        assert_eq!(kind(&multikey(PRIVATE, &[7; 32])), KeyError::Unsupported);
        assert_eq!(kind(&multikey([0xe7, 0x01], &[7; 33])), KeyError::Unsupported);
        assert_eq!(kind(&format!("z{}", "1".repeat(1 << 20))), KeyError::Unsupported);
        let off_curve = multikey(PUBLIC, &{
            let mut point = [0; 32];
            point[0] = 2;
            point
        });
        for text in [
            "",
            "z",
            "z0",
            &public[1..],
            &public[..40],
            &off_curve,
            &format!("f{}", hex::encode(PUBLIC)),
        ] {
            assert!(VerifyingKey::from_multibase(text).is_err(), "{text}");
        }
        assert!(SigningKey::from_multibase(&public).is_err());
    }

    #[test]
    fn a_private_key_is_not_shown() {
        assert_eq!(format!("{:?}", key()), "SigningKey(…)");
    }
}
