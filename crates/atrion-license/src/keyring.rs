//! The public keys that licences are checked with, and how they rotate.
//!
//! A signing key is replaced in three steps, none of which breaks a licence in use: the new
//! public key is added, the old one is *retired* from a date on (what it signed before stays
//! accepted), and when the last of its licences has ended its line is removed. A key that was
//! stolen is *revoked*: nothing that it ever signed is accepted.
//!
//! Retirement goes by the date that a licence claims, which a thief of the key can choose. It is
//! for orderly rotation; theft needs revocation.

mod embedded;
mod line;

use ed25519_dalek::VerifyingKey;
use thiserror::Error;

use crate::identifier::Identifier;
use crate::time::WallTime;

pub(crate) use line::Line;

/// What a key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// Licences for production.
    Vendor,
    /// Development licences, and nothing else. Its private half is public.
    Development,
}

/// How far a key is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// All that it signed.
    Active,
    /// What it signed before a date.
    Retired {
        /// The first second at which an issued licence is not accepted.
        since: WallTime,
    },
    /// Nothing.
    Revoked,
}

/// A public key with what it may sign and how far it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    id: Identifier,
    key_use: KeyUse,
    standing: Standing,
    pub(crate) verifying: VerifyingKey,
}

impl TrustedKey {
    /// An active key from its 32 bytes.
    ///
    /// # Errors
    ///
    /// [`KeyringError::BadKey`] if the bytes are no point of the curve, or a weak one that
    /// verifies signatures nobody made.
    pub fn new(id: Identifier, key_use: KeyUse, bytes: &[u8; 32]) -> Result<Self, KeyringError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(verifying) if !verifying.is_weak() => {
                Ok(Self { id, key_use, standing: Standing::Active, verifying })
            }
            _ => Err(KeyringError::BadKey { id }),
        }
    }

    /// The same key with another standing.
    #[must_use]
    pub fn with_standing(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// The name that claims call it by.
    pub fn id(&self) -> &Identifier {
        &self.id
    }

    /// What it may sign.
    pub fn key_use(&self) -> KeyUse {
        self.key_use
    }

    /// How far it is trusted.
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

/// A public key that cannot be added. The keyring stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The bytes are no Ed25519 public key, or a weak one.
    #[error("the public key `{id}` is not usable")]
    BadKey {
        /// The key's name.
        id: Identifier,
    },
    /// There is a key of that name already.
    #[error("there are two public keys named `{id}`")]
    Doubled {
        /// The key's name.
        id: Identifier,
    },
    /// A line of a key file is not as it should be.
    #[error("line {line} of the key file: {why}")]
    BadLine {
        /// The line, the first being 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
}

/// A set of public keys, each under its own name.
///
/// An empty one accepts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: Vec<TrustedKey>,
}

impl Keyring {
    /// The keys that were built into this version of Atrion, from the crate's folder `keys/`.
    pub fn embedded() -> Self {
        // A unit test shows that these texts can be read. Were it otherwise, nothing would be
        // accepted, which is the safe side.
        Self::from_texts(embedded::TEXTS).unwrap_or_default()
    }

    /// The keys of a text in the form of the files in `keys/`: one key a line, empty lines and
    /// lines that begin with `#` left out.
    ///
    /// ```text
    /// atrion-public-key vendor 2026-a <43 characters of base64url>
    /// atrion-public-key vendor 2024-a <...> retired 2026-06-01
    /// atrion-public-key vendor 2023-b <...> revoked
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyringError`] for the first line that cannot be read or names a key again.
    pub fn from_text(text: &str) -> Result<Self, KeyringError> {
        Self::from_texts(&[text])
    }

    fn from_texts(texts: &[&str]) -> Result<Self, KeyringError> {
        let mut keyring = Self::default();
        for line in texts.iter().flat_map(|text| Line::all(text)) {
            keyring.add(line?.into_public()?)?;
        }
        Ok(keyring)
    }

    /// Adds a key.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Doubled`] if the name is taken; nothing is added.
    pub fn add(&mut self, key: TrustedKey) -> Result<(), KeyringError> {
        if self.find(&key.id).is_some() {
            return Err(KeyringError::Doubled { id: key.id });
        }
        self.keys.push(key);
        Ok(())
    }

    /// The key of that name.
    pub fn find(&self, id: &Identifier) -> Option<&TrustedKey> {
        self.keys.iter().find(|key| key.id == *id)
    }

    /// All keys, in the order they were added.
    pub fn keys(&self) -> impl Iterator<Item = &TrustedKey> {
        self.keys.iter()
    }
}

#[cfg(test)]
#[path = "keyring/tests.rs"]
mod tests;
