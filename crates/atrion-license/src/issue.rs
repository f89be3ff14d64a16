//! Signing of licences: for the vendor, and for development keys. Feature `issue`; no part of it
//! is in a user's build.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};

use crate::claims::{self, Claims};
use crate::error::LicenseError;
use crate::format;
use crate::identifier::Identifier;
use crate::keyring::{KeyUse, KeyringError, Line, TrustedKey};
use crate::tier::{DEV_DAYS, Tier};
use crate::time::WallTime;

/// What a licence shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    tier: Tier,
    licence_id: Identifier,
    licensee: String,
    clusters: Option<u32>,
    issued: WallTime,
    not_before: WallTime,
    days: u32,
}

impl Terms {
    /// A licence issued and valid from `issued` on, for one year (development: 30 days), with as
    /// many clusters as its tier can have.
    pub fn new(tier: Tier, licence_id: Identifier, licensee: &str, issued: WallTime) -> Self {
        let days = if tier == Tier::Development { DEV_DAYS } else { 365 };
        Self {
            tier,
            licence_id,
            licensee: licensee.to_owned(),
            clusters: tier.max_clusters(),
            issued,
            not_before: issued,
            days,
        }
    }

    /// For that many days.
    #[must_use]
    pub fn days(mut self, days: u32) -> Self {
        self.days = days;
        self
    }

    /// For that many production clusters.
    #[must_use]
    pub fn clusters(mut self, clusters: u32) -> Self {
        self.clusters = Some(clusters);
        self
    }

    /// Valid from `start` on, for as many days from there.
    #[must_use]
    pub fn not_before(mut self, start: WallTime) -> Self {
        self.not_before = start;
        self
    }
}

/// A private key that signs licences. Its `Debug` output does not hold the key, and its memory is
/// wiped when it is dropped.
pub struct Issuer {
    id: Identifier,
    key_use: KeyUse,
    signing: SigningKey,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuer({}, {:?})", self.id, self.key_use)
    }
}

impl Issuer {
    /// The key that follows from 32 random bytes.
    pub fn from_seed(id: Identifier, key_use: KeyUse, seed: &[u8; 32]) -> Self {
        Self { id, key_use, signing: SigningKey::from_bytes(seed) }
    }

    /// The key of a private key file.
    ///
    /// # Errors
    ///
    /// [`KeyringError::BadLine`] if it is none, or holds more than one key.
    pub fn from_text(text: &str) -> Result<Self, KeyringError> {
        let mut lines = Line::all(text);
        match (lines.next(), lines.next()) {
            (Some(line), None) => {
                let (id, key_use, seed) = line?.into_private()?;
                Ok(Self::from_seed(id, key_use, &seed))
            }
            _ => Err(KeyringError::BadLine { line: 1, why: "the file needs exactly one key" }),
        }
    }

    /// The development key, which is public: anybody may sign development licences with it, and
    /// it can sign nothing else.
    ///
    /// # Errors
    ///
    /// None in practice: the key is part of the crate, and a test reads it.
    pub fn development() -> Result<Self, KeyringError> {
        Self::from_text(include_str!("../keys/development.key"))
    }

    /// The name that licences call the key by.
    pub fn id(&self) -> &Identifier {
        &self.id
    }

    /// The public half.
    ///
    /// # Errors
    ///
    /// [`KeyringError::BadKey`] if it is weak, which no honestly drawn seed leads to.
    pub fn public_key(&self) -> Result<TrustedKey, KeyringError> {
        TrustedKey::new(self.id.clone(), self.key_use, &self.signing.verifying_key().to_bytes())
    }

    /// The content of the file of the public half.
    pub fn public_text(&self) -> String {
        Line::write_public(&self.id, self.key_use, &self.signing.verifying_key().to_bytes())
    }

    /// The content of the file of the private half. Handle with care.
    pub fn private_text(&self) -> String {
        Line::write_private(&self.id, self.key_use, self.signing.as_bytes())
    }

    /// Signs a licence, obeying every rule that verification knows.
    ///
    /// # Errors
    ///
    /// The [`LicenseError`] that verification of such a licence would report.
    pub fn issue(&self, terms: &Terms) -> Result<String, LicenseError> {
        let claims = Claims {
            key_id: self.id.clone(),
            licence_id: terms.licence_id.clone(),
            licensee: terms.licensee.clone(),
            tier: terms.tier,
            clusters: terms.clusters,
            issued: terms.issued,
            not_before: terms.not_before,
            expires: terms.not_before.plus_days(terms.days),
        };
        claims.check()?;
        let is_dev = terms.tier == Tier::Development;
        if is_dev != (self.key_use == KeyUse::Development) {
            return Err(LicenseError::WrongSigner { id: self.id.clone(), tier: terms.tier });
        }
        Ok(self.sign_payload(terms.tier, &claims::encode(&claims)?))
    }

    /// Signs any payload at all, obeying no rule: for tests that have to get past the signature.
    pub fn sign_payload(&self, tier: Tier, payload: &[u8]) -> String {
        let head = format::head(tier, payload);
        let signature = self.signing.sign(&format::message(&head));
        format::join(&head, &signature.to_bytes())
    }
}

/// What a key claims, without looking at its signature: to show it, never to decide by it.
///
/// # Errors
///
/// [`LicenseError`] if it cannot be read.
pub fn unverified_claims(key: &str) -> Result<Claims, LicenseError> {
    let parts = format::split(key)?;
    claims::signer(&parts.payload)?;
    claims::decode(&parts.payload)
}
