//! Secrets at rest: sealed with the domain's master key (ChaCha20-Poly1305, RFC 8439).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::Rng as _;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// The key that seals a domain's private keys. 32 bytes, base64 in configuration.
pub struct MasterKey(LessSafeKey);

/// The master key is unusable, or does not open what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error("a master key is 32 bytes in base64")]
    Malformed,
    #[error("the master key does not open this secret: it is another domain's, or the secret was altered")]
    Sealed,
}

impl MasterKey {
    /// From its base64 text.
    ///
    /// # Errors
    /// [`KeyringError::Malformed`]
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let bytes = Zeroizing::new(
            STANDARD
                .decode(text.trim())
                .map_err(|_| KeyringError::Malformed)?,
        );
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| KeyringError::Malformed)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// A new random key, as base64 text.
    #[must_use]
    pub fn generate() -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        rand::rng().fill_bytes(&mut *bytes);
        Zeroizing::new(STANDARD.encode(*bytes))
    }

    /// Seals a secret under a name; it opens under the same name only.
    ///
    /// # Errors
    /// [`KeyringError`] where the secret is too large for the cipher.
    pub fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, KeyringError> {
        let mut nonce = [0u8; NONCE_LEN];
        rand::rng().fill_bytes(&mut nonce);
        let mut sealed = nonce.to_vec();
        let mut body = secret.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut body)
            .map_err(|_| KeyringError::Sealed)?;
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what [`MasterKey::seal`] sealed under this name.
    ///
    /// # Errors
    /// [`KeyringError::Sealed`]
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(KeyringError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyringError::Sealed)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .0
            .open_in_place(nonce, Aad::from(name), &mut body)
            .map_err(|_| KeyringError::Sealed)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_under_its_own_name_and_key_only() {
        let key = MasterKey::parse(&MasterKey::generate()).unwrap();
        let sealed = key.seal("alice", b"secret").unwrap();
        assert_eq!(&*key.open("alice", &sealed).unwrap(), b"secret");
        assert_eq!(key.open("bob", &sealed), Err(KeyringError::Sealed));
        let other = MasterKey::parse(&MasterKey::generate()).unwrap();
        assert_eq!(other.open("alice", &sealed), Err(KeyringError::Sealed));
        assert_eq!(key.open("alice", &sealed[..5]), Err(KeyringError::Sealed));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert_eq!(MasterKey::parse("c2hvcnQ=").unwrap_err(), KeyringError::Malformed);
    }
}
